"""Calling a store when it may not answer: deadlines, and finding out what happened."""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from litestar_queues_core.errors import EnqueueUnknown, QueueError, StoreUnavailable
from litestar_queues_core.model import NewJob
from litestar_queues_core.protocols import Store
from litestar_queues_core.settlements import Enqueued

T = TypeVar("T")

logger: logging.Logger = logging.getLogger("litestar_queues.store")

CALL_DEADLINE = 10.0
ENQUEUE_DEADLINE = 30.0


async def ask(call: Awaitable[T], *, deadline: float = CALL_DEADLINE) -> T:
    """Await a call to a store, at most *deadline* seconds.

    Raises:
        StoreUnavailable: The store did not answer, or its driver failed; whether the call had
            its effect is unknown.
        QueueError: The store's own answer.
    """
    try:
        async with asyncio.timeout(deadline):
            return await call
    except QueueError:
        raise
    except TimeoutError as error:
        raise StoreUnavailable(f"the store did not answer within {deadline:g} s") from error
    except Exception as error:
        raise StoreUnavailable(f"the store failed: {type(error).__name__}: {error}") from error


def renewal_deadline(lease: float) -> float:
    """Return how long a renewal of a lease of so many seconds may take.

    Whoever waits longer for a connection that has fallen silent has no time left for another.
    """
    return min(CALL_DEADLINE, lease / 3)


def pause(failures: int) -> float:
    """Return how long to wait before failure number *failures* is followed by a new try."""
    return min(0.05 * math.pow(2, min(failures, 6)), 2.0) * (0.5 + random.random() / 2)  # noqa: S311


class Enqueuer:
    """Enqueues batches and never guesses: after an unknown outcome it asks what was taken."""

    def __init__(self, store: Store, *, patience: float = ENQUEUE_DEADLINE) -> None:
        self._store = store
        self._patience = patience

    async def enqueue(self, jobs: Sequence[NewJob]) -> Sequence[Enqueued]:
        """Return what became of each job, in order.

        A job of which that could not be found out within 30 seconds has an ``EnqueueUnknown``
        as its error.
        """
        until = _now() + self._patience
        try:
            return await _ask_until(until, self._store.enqueue(jobs))
        except StoreUnavailable as error:
            logger.warning("enqueue of %d jobs: %s; asking what was taken", len(jobs), error)
            return await self._find_out(jobs, until, error)

    async def _find_out(
        self, jobs: Sequence[NewJob], until: float, cause: Exception
    ) -> Sequence[Enqueued]:
        known: dict[str, Enqueued] = {}
        failures = 0
        while len(known) < len(jobs) and _now() < until:
            missing = [job for job in jobs if job.id not in known]
            failures += 1
            try:
                for found in await self._taken(missing, until):
                    known[found.id] = found
                missing = [job for job in missing if job.id not in known]
                if missing:
                    answers = await _ask_until(until, self._store.enqueue(missing))
                    known |= {job.id: answer for job, answer in zip(missing, answers, strict=True)}
            except StoreUnavailable as error:
                cause = error
                await asyncio.sleep(min(pause(failures), max(0.0, until - _now())))
        return [known.get(job.id) or _unknown(job, cause) for job in jobs]

    async def _taken(self, jobs: Sequence[NewJob], until: float) -> list[Enqueued]:
        found = await _ask_until(until, self._store.get([job.id for job in jobs]))
        return [Enqueued(id=job.id, status=job.status) for job in found if job is not None]


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _ask_until(until: float, call: Awaitable[T]) -> T:
    return await ask(call, deadline=min(CALL_DEADLINE, max(0.0, until - _now())))


def _unknown(job: NewJob, cause: Exception) -> Enqueued:
    return Enqueued(id=job.id, status=None, error=EnqueueUnknown(job.id, cause))


async def insist(
    call: Callable[[], Awaitable[T]], *, what: str, until: Callable[[], bool] = lambda: False
) -> T:
    """Repeat an idempotent call until the store answers.

    Args:
        call: Makes the call anew.
        what: What it does, for the log.
        until: Tells whether to give up; then the last failure is raised.

    Raises:
        StoreUnavailable: *until* said so.
        QueueError: The store's own answer.
    """
    failures = 0
    while True:
        try:
            return await ask(call())
        except StoreUnavailable as error:
            failures += 1
            if until():
                raise
            logger.warning("%s: %s; trying again", what, error)
            await asyncio.sleep(pause(failures))
