"""Crashing a task at every point at which it waits."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from litestar_queues_core.config import QueueConfig, WorkerConfig
from litestar_queues_core.context import TaskExecutionContext
from litestar_queues_core.current import bound_service
from litestar_queues_core.dependencies import DependencyProvider
from litestar_queues_core.executors.local import LocalExecutor
from litestar_queues_core.ids import JobId
from litestar_queues_core.lanes import LOCAL
from litestar_queues_core.model import Job, Status
from litestar_queues_core.outcome import Outcome
from litestar_queues_core.protocols import BackendConfig, Store
from litestar_queues_core.service import QueueService
from litestar_queues_core.settlements import MaintenancePolicy
from litestar_queues_core.stores.memory import MemoryBackendConfig
from litestar_queues_core.task import TaskCall
from litestar_queues_core.testing.claimer import Claimer
from litestar_queues_core.testing.clock import shift_clock
from litestar_queues_core.testing.conformance.steps import die
from litestar_queues_core.testing.doomed import Doomed, Place, doomed_processes
from litestar_queues_core.testing.runs import Silent, drain
from litestar_queues_core.worker import Worker

Step = Callable[[], object]
SILENT = (
    "the job and what it enqueues did not end in time: does it wait for something, such as a "
    "lock, that the killed code holds in this Python process? unwind=True lets go of it"
)

WORKER = "crashtest"
ROUNDS = 100
PATIENCE = 30.0
GRACE = 1.0
DELIBERATE = frozenset({"discarded", "rescued"})
"""How a job may fail without its code having failed: it was given up, or had no rescue left."""


@dataclass(kw_only=True, slots=True)
class CrashPoint:
    """One run in which the task was crashed.

    Attributes:
        number: Which run, from 1.
        where: File and line, or what had happened.
        source: The line.
        status: How the job ended after that.
    """

    number: int
    where: str
    source: str = ""
    status: Status | None = None

    def __str__(self) -> str:
        return f"{self.number}. {self.where}" + (f": {self.source}" if self.source else "")


@dataclass(kw_only=True, slots=True)
class CrashReport:
    """What was tried.

    Attributes:
        task: Name of the task.
        points: The points at which it was crashed, in the order of the runs.
        complete: Whether they are all that it has; else ``max_points`` was too low.
    """

    task: str
    points: list[CrashPoint]
    complete: bool = True

    def __str__(self) -> str:
        lines = [f"{self.task} was crashed at {len(self.points)} points"]
        lines += [f"  {point}" for point in self.points]
        if not self.complete:
            lines.append("  (it has more: raise max_points)")
        return "\n".join(lines)


class CrashTestFailure(AssertionError):
    """A task does not get over a crash.

    Attributes:
        point: Where it was crashed; ``None`` if the invariant is broken without any crash.
        report: What was tried until then.
    """

    def __init__(self, message: str, point: CrashPoint | None, report: CrashReport) -> None:
        super().__init__(f"{message}\n{report}")
        self.point: CrashPoint | None = point
        self.report: CrashReport = report


async def crashtest(
    call: TaskCall[Any],
    *,
    check: Step,
    before: Step | None = None,
    backend: BackendConfig | None = None,
    unwind: bool = False,
    max_points: int = 200,
    dependencies: DependencyProvider | None = None,
) -> CrashReport:
    """Run an async task once per point at which it waits, and kill its worker there.

    After the kill the job is rescued, another worker runs it to its end, with all it enqueues,
    and *check* is asked. The last run kills the worker when the code has ended and nobody knows
    yet. A first run without any crash shows that *check* holds at all.

    The killed code is not resumed, not even its ``finally`` blocks, until *check* was asked. What
    it keeps in this Python process stays, though: a lock it holds is held for ever, a thread goes
    on. A retry or snooze of the first delivery is followed to the end, but only that delivery is
    crashed.

    Args:
        call: The task with its arguments: ``charge.call(order=7)``.
        check: The invariant: raises, or returns ``False``, if it is broken. May be async.
        before: Prepares a fresh world for each run. May be async.
        backend: A store, opened for each run, that holds no other jobs and whose clock can be
            shifted; by default one in memory.
        unwind: Raise :exc:`SimulatedCrash` at the point instead, so that ``with`` blocks close:
            that is how a database server rolls back what a dead client has begun.
        max_points: Crash at so many points at most, and after the end.
        dependencies: Provides parameters that are not given.

    Raises:
        CrashTestFailure: The invariant was broken, or the job failed, or did not end. It names
            the point.
        TypeError: This is no call of an async task.
        ValueError: The store holds other jobs.
        SkipTest: The clock of the store cannot be shifted.
    """
    _check_call(call)
    if max_points < 0:
        raise ValueError(f"max_points must be 0 or more, not {max_points}")
    test = _CrashTest(
        call=call,
        check=check,
        before=before,
        config=QueueConfig(
            queue_backend=backend or MemoryBackendConfig(),
            worker=WorkerConfig(grace=GRACE),
            coalesce=False,  # what is coalesced would be sent by the code that is killed
        ),
        dependencies=dependencies,
        unwind=unwind,
    )
    return await test.run(max_points)


def _check_call(call: TaskCall[Any]) -> None:
    if not isinstance(call, TaskCall):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"crashtest() takes a call of a task, task.call(...), not {call!r}")
    task = call.task
    if not task.is_async:
        raise TypeError(
            f"crashtest() takes async tasks only: {task.name!r} is sync, runs in a thread and has "
            f"no points at which it could be crashed. Make it 'async def', with its blocking calls "
            f"in 'await asyncio.to_thread(...)', or crash-test the async code that it calls"
        )


class _CrashTest:
    """The runs of one call."""

    def __init__(
        self,
        *,
        call: TaskCall[Any],
        check: Step,
        before: Step | None,
        config: QueueConfig,
        dependencies: DependencyProvider | None,
        unwind: bool,
    ) -> None:
        here = call.task.using(execution_backend=LOCAL)
        self._call = TaskCall(here, call.args, call.kwargs)
        self._check = check
        self._before = before
        self._config = config
        self._dependencies = dependencies
        self._unwind = unwind
        self.report = CrashReport(task=here.name, points=[])

    async def run(self, max_points: int) -> CrashReport:
        """Run it without a crash, then crash it at each point, and at its end."""
        await self._undisturbed()
        with doomed_processes():
            for fatal in range(1, max_points + 1):
                process = await self._crashed(fatal)
                if not process.crashed:
                    return self.report
            process = await self._crashed(None)
        self.report.complete = process.points <= max_points
        return self.report

    async def _undisturbed(self) -> None:
        async with self._enqueued() as (service, job_id):
            await self._judge(await self._ended(service, job_id, None), None)

    async def _crashed(self, fatal: int | None) -> Doomed:
        process = Doomed(fatal, unwind=self._unwind)
        async with self._enqueued() as (service, job_id):
            try:
                claimer = await Claimer(service.store, WORKER).open()
                job = await _claimed(claimer, self._call.task.spec.lane, job_id)
                # The worker is for what the task enqueues and waits for.
                async with Worker(service, grace=PATIENCE):
                    outcome = await process.run(self._attempt(service, job))
                point = self._point(process.place, outcome)
                await die(service.store, claimer)
                await self._judge(await self._ended(service, job_id, point), point)
            finally:
                await process.bury()
        return process

    @asynccontextmanager
    async def _enqueued(self) -> AsyncGenerator[tuple[QueueService, JobId]]:
        if self._before is not None:
            await _done(self._before)
        async with QueueService(self._config, dependencies=self._dependencies) as service:
            (result,) = await service.enqueue_many([self._call])
            if not result.created:
                raise _not_empty()
            yield service, JobId(result.id)

    async def _attempt(self, service: QueueService, job: Job) -> Outcome:
        """Do what a worker does with a job that it has claimed."""
        bound_service.set(service)
        task = self._call.task
        context = TaskExecutionContext(job, task, WORKER, service, Silent())
        context.enter()
        executor = LocalExecutor(
            serializer=service.serializer, dependencies=service.dependencies, threads=1
        )
        return await executor.run(job, context)

    def _point(self, place: Place | None, outcome: Outcome | None) -> CrashPoint:
        number = len(self.report.points) + 1
        if place is not None:
            where = f"{place.file}:{place.line}"
            point = CrashPoint(number=number, where=where, source=place.source)
        else:
            error = outcome.error if outcome is not None else None
            did = "returned" if error is None else f"raised {error!r}"
            point = CrashPoint(number=number, where=f"after it had {did}, before that was recorded")
        self.report.points.append(point)
        return point

    async def _ended(self, service: QueueService, job_id: JobId, point: CrashPoint | None) -> Job:
        """Run the job to its end, with all that is due, and let time go by until it is."""
        for _ in range(ROUNDS):
            try:
                await drain(service, timeout=PATIENCE)
            except TimeoutError as error:
                raise self._failure(SILENT, point) from error
            (job,) = await service.store.get([job_id])
            if job is None or job.status.finished:
                break
            await _wait(service.store)
        else:
            raise self._failure("the job does not end, however often it is run", point)
        if job is None:
            raise AssertionError("a store knows for a minute at least what has ended")
        return job

    async def _judge(self, job: Job, point: CrashPoint | None) -> None:
        if point is not None:
            point.status = job.status
        last = job.details.errors[-1] if job.details.errors else None
        if job.status is Status.FAILED and last is not None and last.outcome not in DELIBERATE:
            raise self._failure(f"the job failed: {last.type}: {last.message}", point)
        try:
            holds = await _done(self._check)
        except Exception as error:
            broken = f"the invariant is broken: {type(error).__name__}: {error}"
            raise self._failure(broken, point) from error
        except BaseException as error:  # a test framework's own way to fail
            error.add_note(str(self._failure("the invariant is broken", point)))
            raise
        if holds is False:
            raise self._failure("the invariant is broken: check() returned False", point)

    def _failure(self, what: str, point: CrashPoint | None) -> CrashTestFailure:
        where = f"after a crash in run {point}" if point else "without any crash"
        return CrashTestFailure(f"{what}\n{where}", point, self.report)


def _not_empty() -> ValueError:
    return ValueError("crashtest() needs an empty store for each run: clean it in before()")


async def _done(step: Step) -> object:
    answer = step()
    return await answer if inspect.isawaitable(answer) else answer


async def _claimed(claimer: Claimer, lane: str, job_id: JobId) -> Job:
    """Claim the job, after its delay if it has one."""
    for _ in range(ROUNDS):
        for job in await claimer.claim(1, lanes=[(lane, 1)], others=0):
            if job.id != job_id:
                raise _not_empty()
            return job
        await _wait(claimer.store)
    raise _not_empty()


async def _wait(store: Store) -> None:
    """Let time go by until the next job is due."""
    done = await store.maintain(MaintenancePolicy(rescue=False))
    if done.next_due_ms is not None and done.next_due_ms > done.now_ms:
        shift_clock(store, timedelta(milliseconds=done.next_due_ms - done.now_ms))
