"""Letting concurrent enqueues share one round trip, without a timer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from litestar_queues_core.model import NewJob
from litestar_queues_core.settlements import Enqueued

Send = Callable[[Sequence[NewJob]], Awaitable[Sequence[Enqueued]]]

BATCH = 500


class Coalescer:
    """Sends what has gathered as soon as the previous send returns.

    An idle queue adds nothing to the round trip; a busy one fills its batches by itself.  The
    send runs in a task of its own, so a cancelled caller neither tears the batch nor stops
    its neighbours; its own job may have been enqueued all the same.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._waiting: list[tuple[NewJob, asyncio.Future[Enqueued]]] = []
        self._sender: asyncio.Task[None] | None = None

    async def enqueue(self, job: NewJob) -> Enqueued:
        """Return what became of *job*, once its batch has been sent."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Enqueued] = loop.create_future()
        self._waiting.append((job, answer))
        if self._sender is None or self._sender.done():
            self._sender = loop.create_task(self._send_all())
        return await answer

    async def drain(self) -> None:
        """Return once everything that was handed in has been answered."""
        if self._sender is not None:
            await asyncio.shield(self._sender)

    async def _send_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            open_answers = [answer for _, answer in batch if not answer.done()]
            try:
                answers = await self._send([job for job, _ in batch])
            except Exception as error:  # noqa: BLE001  (it belongs to the callers)
                _fail(open_answers, error)
            except BaseException:
                _fail(open_answers, asyncio.CancelledError())
                raise
            else:
                _resolve(batch, answers)


def _resolve(
    batch: Sequence[tuple[NewJob, asyncio.Future[Enqueued]]], answers: Sequence[Enqueued]
) -> None:
    for (_, answer), enqueued in zip(batch, answers, strict=True):
        if not answer.done():
            answer.set_result(enqueued)


def _fail(answers: Sequence[asyncio.Future[Enqueued]], error: BaseException) -> None:
    for answer in answers:
        if not answer.done():
            answer.set_exception(error)
