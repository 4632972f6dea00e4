"""Running jobs as they are enqueued, for scripts and tests without a worker."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from litestar_queues_core.model import NewJob
    from litestar_queues_core.service import QueueService

IMMEDIATE = "immediate"


def is_immediate(job: NewJob) -> bool:
    """Return whether *job* asks to be run by the process that enqueues it."""
    return job.spec.execution_backend == IMMEDIATE


async def run_immediately(service: QueueService, queue: str) -> None:
    """Run what waits in *queue* for immediate execution, one after the other, and return.

    Such jobs are stored, claimed and settled like any others; a retry with a delay waits for the
    next enqueue.
    """
    from litestar_queues_core.worker import Worker  # noqa: PLC0415  (it imports the service)

    await Worker(service, burst=True, only_executor=IMMEDIATE, queues=[queue], concurrency=1).run()
