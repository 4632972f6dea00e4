"""Jobs that share transactions with data of an application, and whether both agree in the end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping

from litestar_queues_core.context import TaskExecutionContext
from litestar_queues_core.model import Job, Status
from litestar_queues_core.options import check_task_options
from litestar_queues_core.retry import RetryPolicy
from litestar_queues_core.service import QueueService
from litestar_queues_core.task import AsyncTask
from litestar_queues_core.testing.chaos.notes import Notebook
from litestar_queues_core.testing.chaos.targets import Ledger, SupportsLedger

BOOK = "chaos.book"
ORDERED, COMPLETED = "ordered", "completed"
DEADLINE = 10.0


class ChangedMindError(Exception):
    """Undoes a transaction of a producer."""


def make_book(target: SupportsLedger) -> AsyncTask[..., None]:
    """Return the task that completes itself together with an entry in the ledger."""

    async def book(seconds: float, _task_context: TaskExecutionContext) -> None:
        notebook: Notebook = _task_context.state
        with notebook.running(_task_context):
            async with asyncio.timeout(DEADLINE), _task_context.transaction() as session:
                await asyncio.sleep(seconds)
                await target.enter(session, COMPLETED, _task_context.id)
                _task_context.set_result(_task_context.delivery)

    policy = RetryPolicy(first=0.2, ceiling=1.0)
    options = {"retries": 1000, "retry_policy": policy, "max_rescues": 1000}
    return AsyncTask(book, BOOK, check_task_options(options))


async def order(
    target: SupportsLedger, service: QueueService, seconds: float, *, keep: bool
) -> str:
    """Enqueue a job in a transaction with an entry in the ledger; return its id.

    Raises:
        ChangedMindError: It was not to be kept.
    """
    async with asyncio.timeout(DEADLINE), target.transaction() as session:
        result = await service.enqueue(BOOK, seconds, session=session)
        await target.enter(session, ORDERED, result.id)
        if not keep:
            raise ChangedMindError
    return result.id


def disagreements(ledger: Ledger, records: Mapping[str, Job | None]) -> Iterator[str]:
    """Say where the ledger and the jobs do not agree."""
    booked = {job.id: job for job in records.values() if job is not None and job.task == BOOK}
    ordered, completed = Counter(ledger.ordered), Counter(ledger.completed)
    for job_id in ordered.keys() - booked.keys():
        yield f"job {job_id} was ordered and is not known"
    for job_id in booked.keys() - ordered.keys():
        yield f"job {job_id} is known and was never ordered"
    for job_id, job in booked.items():
        if completed[job_id] != (job.status is Status.COMPLETED):
            yield f"job {job_id} is {job.status} with {completed[job_id]} entries in the ledger"
    if ledger.counter != completed.total():
        yield f"the counter is {ledger.counter}, the entries are {completed.total()}"
