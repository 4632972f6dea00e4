"""A transaction in which the code of an attempt completes its own job."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from litestar_queues_core.errors import PayloadError
from litestar_queues_core.model import Job
from litestar_queues_core.outcome import Ending, Outcome
from litestar_queues_core.requests import encode_result
from litestar_queues_core.settlements import Kind, Settlement
from litestar_queues_core.task import Task

if TYPE_CHECKING:
    from litestar_queues_core.service import QueueService

T = TypeVar("T")

logger: logging.Logger = logging.getLogger("litestar_queues.jobs")


class Completion:
    """What one block of ``ctx.transaction()`` comes to.

    Args:
        service: The queue service.
        definition: The task that is run.
        job: The job as it was claimed.

    Attributes:
        open: Whether the block is being executed.
        committed: Whether the job has ended with it.
    """

    def __init__(self, service: QueueService, definition: Task[..., Any], job: Job) -> None:
        self.open: bool = True
        self.committed: bool = False
        self._service = service
        self._definition = definition
        self._job = job
        self._value: object = None
        self._encoded: bytes | None = None
        self._refusal: PayloadError | None = None

    def set_result(self, value: object) -> None:
        """Keep *value* as the result, encoded as it is now."""
        service = self._service
        limit = service.config.max_payload
        if self._job.new.spec.keep_result:
            try:
                self._encoded = encode_result(
                    self._definition, value, service.serializer, limit=limit
                )
            except PayloadError as error:
                self._refusal = error
                raise
        self._value = value

    def settlement(self) -> Settlement:
        """Return what completes the job."""
        return Settlement(self._job.new.id, self._job.delivery, Kind.COMPLETE, 0, self._encoded)

    def judged(self, outcome: Outcome) -> Outcome:
        """Return what the code of the attempt has come to, given how it ended."""
        if self.committed:
            self._say_what_is_ignored(outcome)
            return Outcome(Ending.RETURNED, self._value, self._encoded)
        if self._refusal is not None and outcome.error is self._refusal:
            return Outcome(ending=Ending.INVALID, error=outcome.error)
        return outcome

    def _say_what_is_ignored(self, outcome: Outcome) -> None:
        which = (self._job.task, self._job.id)
        if outcome.ending is Ending.STOPPED:
            logger.info("%s %s: stopped after its own transaction had completed it", *which)
        elif not outcome.succeeded:
            logger.error(
                "%s %s: an error after its own transaction had completed it; it is not retried",
                *which,
                exc_info=outcome.error,
            )
        elif outcome.value is not None:
            logger.warning(
                "%s %s: the value it returned is ignored, its own transaction had completed it "
                "before; ctx.set_result() inside the block sets the result",
                *which,
            )


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Do *work* in a task of its own, and heed a cancellation only once it is done."""
    doing = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not doing.done():
        try:
            await asyncio.wait([doing])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return doing.result()
    raise cancelled from (None if doing.cancelled() else doing.exception())
