"""Running jobs in the tests of an application."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from litestar_queues_core.config import QueueConfig
from litestar_queues_core.context import TaskExecutionContext
from litestar_queues_core.dependencies import DependencyProvider
from litestar_queues_core.errors import TransactionError
from litestar_queues_core.executors.local import LocalExecutor
from litestar_queues_core.ids import new_job_id
from litestar_queues_core.model import Event, Job, Status
from litestar_queues_core.outcome import Outcome
from litestar_queues_core.requests import decode_arguments, encode_result, new_job
from litestar_queues_core.service import QueueService
from litestar_queues_core.settlements import JobQuery
from litestar_queues_core.stores.memory import MemoryBackendConfig
from litestar_queues_core.task import Task
from litestar_queues_core.worker import Worker

R = TypeVar("R")

WORKER = "perform_job"


async def drain(
    service: QueueService, *, queues: Sequence[str] = (), timeout: float = 30.0
) -> Mapping[Status, int]:
    """Run everything that is due now, with all it enqueues, in this process.

    Jobs that are due later, such as retries with a delay, stay where they are.

    Args:
        service: The open service of the application.
        queues: Only these queues; empty means all.
        timeout: Seconds after which it gives up.

    Returns:
        How many jobs now stand where, for the statuses that the store can count.

    Raises:
        TimeoutError: There was still something to do.
    """
    async with asyncio.timeout(timeout):
        await Worker(service, burst=True, queues=queues).run()
    counts: Counter[Status] = Counter()
    for one in (await service.count()).counts:
        counts[one.status] += one.value
    return counts


async def assert_enqueued(
    service: QueueService, task: Task[..., Any] | str, /, *args: Any, **kwargs: Any
) -> Job:
    """Check that a job of *task* is waiting, and return it, the newest of several.

    With arguments, they must be those of the job; as for a call, it does not matter whether
    they are given by position or by name.

    Raises:
        AssertionError: There is none; the message lists those that are there.
    """
    definition = service.task(task)
    query = JobQuery(status=(Status.PENDING, Status.SCHEDULED), task=definition.name, limit=500)
    jobs = [job async for job in service.find_all(query) if job.task == definition.name]
    if not args and not kwargs and jobs:
        return jobs[0]
    wanted = service.payload(definition, *args, **kwargs)
    for job in jobs:
        if job.new.payload == wanted:
            return job
    there = ", ".join(
        str(decode_arguments(definition, job.new.payload, service.serializer)) for job in jobs
    )
    raise AssertionError(
        f"no job of task {definition.name!r} with {args} {kwargs} is waiting; "
        f"there: {there or 'none'}"
    )


async def perform_job(
    task: Task[..., R],
    /,
    *args: Any,
    dependencies: DependencyProvider | None = None,
    attempt: int = 1,
    **kwargs: Any,
) -> R:
    """Run one attempt of *task* here, as a worker would, without any store or retry.

    The arguments and the result make the way through their encoded form, so what could not be
    enqueued fails here.

    Args:
        task: The task.
        *args: Its arguments.
        dependencies: Provides those that are not given.
        attempt: Which attempt the context shows.
        **kwargs: Its arguments.

    Raises:
        BaseException: Whatever the task raised, control signals included.
    """
    service = QueueService(
        QueueConfig(queue_backend=MemoryBackendConfig()), dependencies=dependencies
    )
    async with service:
        new = new_job(task, args, kwargs, None, job_id=new_job_id(), settings=service.settings)
        job = Job(
            new=new,
            status=Status.RUNNING,
            lane=new.spec.lane,
            due_ms=0,
            attempt=attempt - 1,
            delivery=1,
        )
        context = TaskExecutionContext(job, task, worker=WORKER, service=service, reporter=Silent())
        executor = LocalExecutor(
            serializer=service.serializer, dependencies=dependencies, threads=1
        )
        outcome = await asyncio.create_task(_run(executor, job, context))
        executor.close()
        return _value(task, outcome, service)


async def _run(executor: LocalExecutor, job: Job, context: TaskExecutionContext) -> Outcome:
    context.enter()
    return await executor.run(job, context)


def _value(task: Task[..., R], outcome: Outcome, service: QueueService) -> R:
    if outcome.error is not None:
        raise outcome.error
    encode_result(task, outcome.value, service.serializer, limit=service.config.max_payload)
    return outcome.value  # type: ignore[return-value]


class Silent:
    """Takes what a task reports, which nobody has asked for."""

    enabled = False

    def now_ms(self) -> int:
        """Nobody has asked."""
        return 0

    def progress(self, context: TaskExecutionContext, value: bytes) -> None:
        """Nobody has asked."""

    async def publish(self, context: TaskExecutionContext, event: Event) -> None:
        """Nobody has asked."""

    def transaction(self, context: TaskExecutionContext) -> AbstractAsyncContextManager[Any]:
        """There is none here."""
        raise TransactionError(
            "ctx.transaction() needs a worker, which holds the job under a lease: let a Worker run "
            "the task in this test"
        )
