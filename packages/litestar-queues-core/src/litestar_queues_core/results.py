"""What an enqueue returns: a handle on a job."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from litestar_queues_core.asking import ask, pause
from litestar_queues_core.config import seconds
from litestar_queues_core.context import decode_progress
from litestar_queues_core.errors import (
    JobCancelledError,
    JobFailedError,
    ResultExpired,
    StoreUnavailable,
)
from litestar_queues_core.ids import JobId
from litestar_queues_core.model import AttemptRecord, Job, Progress, Status
from litestar_queues_core.protocols import SupportsSignals

if TYPE_CHECKING:
    from litestar_queues_core.service import QueueService

R = TypeVar("R")

logger: logging.Logger = logging.getLogger("litestar_queues.store")

LOOK_AGAIN = 5.0
FIRST_POLL, LAST_POLL = 0.01, 0.5


class TaskResult(Generic[R]):
    """A job, as far as it was known at the last look; ``refresh`` and ``wait`` look again.

    Attributes:
        created: Whether the enqueue made this job, or found it under its key.
    """

    __slots__ = ("_id", "_job", "_service", "_status", "created")

    def __init__(
        self,
        service: QueueService,
        job_id: JobId,
        status: Status | None,
        created: bool = True,
        job: Job | None = None,
    ) -> None:
        self._service = service
        self._id = job_id
        self._status = status
        self._job = job
        self.created: bool = created

    def __repr__(self) -> str:
        return f"<TaskResult {self._id} {self.status}>"

    @property
    def id(self) -> str:
        """The job's id."""
        return self._id

    @property
    def status(self) -> Status | None:
        """The job's status; ``None`` if its record is gone."""
        return self._job.status if self._job else self._status

    @property
    def record(self) -> Job | None:
        """The whole record, once it has been looked at."""
        return self._job

    @property
    def result(self) -> R | None:
        """What the task returned, typed as it is annotated; ``None`` until it is completed."""
        if self._job is None or self._job.details.result is None:
            return None
        return cast(R, self._service.decode_result(self._job))

    @property
    def error(self) -> str | None:
        """What went wrong last, in one line."""
        return self._job.error if self._job else None

    @property
    def errors(self) -> Sequence[AttemptRecord]:
        """The last ten attempts that did not complete."""
        return self._job.details.errors if self._job else ()

    @property
    def progress(self) -> Progress | None:
        """How far the job has come, by its own account."""
        return decode_progress(self._job.details.progress) if self._job else None

    async def refresh(self) -> TaskResult[R]:
        """Look at the job again.

        Raises:
            ResultExpired: It is not known any more.
        """
        self._service.check_loop()
        (job,) = await ask(self._service.store.get([self._id]))
        if job is None:
            raise ResultExpired(self._id)
        self._job = job
        return self

    async def wait(self, timeout: float | timedelta | None = None) -> TaskResult[R]:
        """Wait until the job has ended, and look at it.

        While the store does not answer, it is asked again.

        Args:
            timeout: Seconds or timedelta; ``None`` waits for ever.

        Raises:
            TimeoutError: It has not ended by then; it goes on.
            ResultExpired: It is not known any more.
        """
        limit = None if timeout is None else seconds(timeout, "timeout")
        try:
            async with asyncio.timeout(limit):
                await self._ended()
        except TimeoutError:
            raise TimeoutError(
                f"job {self._id} has not ended within {limit:g} s; it is {self.status}"
            ) from None
        return self

    async def value(self, timeout: float | timedelta | None = None) -> R:
        """Wait for the job and return what its task returned.

        Raises:
            JobFailedError: It failed or expired.
            JobCancelledError: It was cancelled.
            TimeoutError: It has not ended within *timeout*.
            ResultExpired: It is not known any more.
        """
        await self.wait(timeout)
        if self.status is Status.COMPLETED:
            return cast(R, self.result)
        if self.status is Status.CANCELLED:
            raise JobCancelledError(self._id, f"job {self._id} was cancelled")
        reason = self.error or str(self.status)
        raise JobFailedError(self._id, f"job {self._id} {self.status}: {reason}")

    async def _ended(self) -> None:
        rest, failures = FIRST_POLL, 0
        while True:
            # Listen before looking, so that an end in between is not missed.
            signal = asyncio.create_task(self._rest(rest))
            try:
                await asyncio.sleep(0)
                await self.refresh()
                if self._job is not None and self._job.status.finished:
                    return
                failures = 0
                await signal
            except StoreUnavailable as error:
                failures += 1
                logger.debug("job %s: %s; looking again", self._id, error)
                await asyncio.sleep(pause(failures))
            finally:
                signal.cancel()
                await asyncio.wait([signal])
            rest = min(rest * 2, LAST_POLL)

    async def _rest(self, poll: float) -> None:
        store = self._service.store
        if isinstance(store, SupportsSignals):
            with suppress(StoreUnavailable):
                await ask(store.wait([f"job:{self._id}"], LOOK_AGAIN), deadline=LOOK_AGAIN + 5)
                return
        await asyncio.sleep(poll)
