"""Taking steps: each is done by the store, looked at, and held against the model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar, cast

from litestar_queues_core.errors import LeaseLost, StaleExchange
from litestar_queues_core.ids import JobId, LeaseId, new_job_id, new_lease_id
from litestar_queues_core.model import (
    Failure,
    Job,
    KeyRule,
    NewJob,
    Retention,
    TaskSpec,
    WorkerInfo,
)
from litestar_queues_core.protocols import Store, SupportsBrowse, SupportsKeys
from litestar_queues_core.settlements import JobQuery, Kind, MaintenancePolicy, Settlement
from litestar_queues_core.testing.clock import SupportsClockShift
from litestar_queues_core.testing.model import exchanging, leases, looking, steps, taking
from litestar_queues_core.testing.model.disagreement import Disagreement, Mismatch, demand
from litestar_queues_core.testing.model.exchanging import Sent
from litestar_queues_core.testing.model.known import KnownLease, Span, World
from litestar_queues_core.testing.model.observer import Observer
from litestar_queues_core.testing.model.telling import CANCELLED, CLOSED, SAID, Log
from litestar_queues_core.testing.model.upkeep import Upkeep
from litestar_queues_core.testing.model.words import said

T = TypeVar("T")

FIRST = 100
"""Number of a lease's first exchange, so that there are lower ones to send late."""


class Driver:
    """Takes steps with one store, which must be empty at first.

    Attributes:
        world: What the model knows.
        script: The steps taken, with their answers.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.world = World()
        self.script: list[str] = []
        self._observer = Observer(store)
        self._log = Log(store)
        self._ids: dict[str, JobId] = {}
        self._requests: dict[str, NewJob] = {}
        self._leases: dict[str, LeaseId] = {}
        self._seqs: dict[LeaseId, int] = {}
        self._began_ms = 0
        self._steps: dict[type, Callable[[Any], Awaitable[object]]] = {
            steps.Enqueue: self._enqueue,
            steps.Resend: self._resend,
            steps.Open: self._open,
            steps.Swap: self._swap,
            steps.Replay: self._replay,
            steps.Stale: self._stale,
            steps.Renew: self._renew,
            steps.Close: self._close,
            steps.Maintain: self._maintain,
            steps.Cancel: self._cancel,
            steps.Revive: self._revive,
            steps.ReleaseKeys: self._release_keys,
            steps.Look: self._look,
            steps.Wait: self._wait,
        }

    async def begin(self) -> Driver:
        """Open what the driver looks through."""
        await self._observer.open()
        self._began_ms = await self._observer.now_ms()
        self.world.now = Span(self._began_ms, self._began_ms)
        return self

    async def take(self, step: steps.Step) -> None:
        """Take one step.

        Raises:
            Disagreement: The store did what the model does not allow.
        """
        line = f"{len(self.script) + 1}. {step}"
        try:
            answer = await self._steps[type(step)](step)
            self.world.compare()
            await self._log.compare(self.world)
            if isinstance(step, steps.Swap | steps.Replay | steps.Maintain) and answer is not None:
                self.world.compare_due(getattr(answer, "next_due_ms", None))
        except Mismatch as error:
            self.script.append(f"{line}  <- {error.promise}")
            raise Disagreement(error, step=str(step), script=self.script) from None
        self.script.append(line + said(self.world, answer))

    def job_id(self, name: str) -> JobId:
        """Return the id of a job of the script, whether it was enqueued or not."""
        if name not in self._ids:
            self._ids[name] = new_job_id()
            self.world.names[self._ids[name]] = name
        return self._ids[name]

    def lease_id(self, name: str) -> LeaseId:
        """Return the id of a lease of the script, whether it was opened or not."""
        return self._leases.setdefault(name, new_lease_id())

    async def _do(self, operation: Callable[[], Awaitable[T]], *errors: type[Exception]) -> T:
        """Let the store do something, note when, and look at every job; *errors* are answers."""
        low = self.world.now.high
        try:
            answer = await operation()
        except errors as error:
            answer = cast(T, error)
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            raise Mismatch("a store answers", allowed="an answer", answered=what) from error
        high = await self._observer.now_ms()
        self.world.now = Span(min(low, high), high)
        ids = list(self._ids.values())
        found = await self.store.get(ids)
        demand(
            len(found) == len(ids),
            "answers come in the order of the requests",
            allowed=f"{len(ids)} jobs",
            answered=f"{len(found)} jobs",
        )
        self.world.seen = dict(zip(ids, found, strict=True))
        return answer

    def _request(self, plan: steps.Plan) -> NewJob:
        """Return the request for a job, the same each time."""
        if plan.name not in self._requests:
            self._requests[plan.name] = _new_job(plan, self.job_id(plan.name), self._began_ms)
        return self._requests[plan.name]

    def _settlement(self, ending: steps.Ending) -> Settlement:
        job_id = self.job_id(ending.job)
        known = self.world.jobs.get(job_id)
        delivery = 1 if known is None else known.delivery
        said = self._log.event(job_id, delivery, SAID)
        return Settlement(
            id=job_id,
            delivery=delivery - ending.late,
            kind=ending.kind,
            delay_ms=ending.delay * 1000,
            value=b"%d" % delivery if ending.kind in {Kind.COMPLETE, Kind.PROGRESS} else None,
            failure=Failure(outcome="failed", message=ending.job) if ending.failure else None,
            follow_ups=[self._request(plan) for plan in ending.follow_ups],
            events=() if said is None else (said,),
            closing=self._log.event(job_id, delivery, CLOSED),
            closing_if_cancelled=self._log.event(job_id, delivery, CANCELLED),
        )

    async def _enqueue(self, step: steps.Enqueue) -> object:
        return await self._enqueue_jobs([self._request(plan) for plan in step.jobs])

    async def _resend(self, step: steps.Resend) -> object:
        known = [self._requests[name] for name in step.jobs if name in self._requests]
        return await self._enqueue_jobs(known)

    async def _enqueue_jobs(self, jobs: Sequence[NewJob]) -> object:
        answers = await self._do(lambda: self.store.enqueue(jobs))
        taking.enqueue(self.world, jobs, answers)
        return answers

    async def _open(self, step: steps.Open) -> object:
        lease, name = self.lease_id(step.lease), f"worker-{step.lease}"

        async def opening() -> LeaseLost | None:
            await self.store.open_lease(lease, WorkerInfo(name=name), seconds=step.seconds)
            return None

        answer = await self._do(opening, LeaseLost)
        wanted = KnownLease(
            name=step.lease,
            id=lease,
            worker=name,
            term_ms=step.seconds * 1000,
            expires=self.world.now.plus(step.seconds * 1000),
        )
        leases.open_lease(self.world, wanted, answer)
        return answer

    async def _swap(self, step: steps.Swap) -> object:
        lease = self.lease_id(step.lease)
        seq = self._seqs[lease] = self._seqs.get(lease, FIRST) + 1 + step.gap
        settlements = [self._settlement(one) for one in step.settlements]
        sent = Sent(lease, seq, settlements, step.wants)
        known = self.world.leases.get(lease)
        if known is not None:
            known.last = sent.settlements, sent.wants
        return await self._exchange(sent)

    async def _replay(self, step: steps.Replay) -> object:
        lease = self.lease_id(step.lease)
        known = self.world.leases.get(lease)
        if known is None or known.last is None:
            return None
        return await self._exchange(Sent(lease, self._seqs[lease], *known.last))

    async def _stale(self, step: steps.Stale) -> object:
        lease = self.lease_id(step.lease)
        known = self.world.leases.get(lease)
        kept = FIRST if known is None else known.kept
        if kept is None:
            return None
        seq = kept - step.back
        settlements = [self._settlement(one) for one in step.settlements]
        return await self._exchange(Sent(lease, seq, settlements, step.wants))

    async def _exchange(self, sent: Sent) -> object:
        answer = await self._do(
            lambda: self.store.exchange(sent.lease, sent.seq, sent.settlements, sent.wants),
            LeaseLost,
            StaleExchange,
        )
        exchanging.exchange(self.world, sent, answer)
        return None if isinstance(answer, Exception) else answer

    async def _renew(self, step: steps.Renew) -> object:
        lease = self.lease_id(step.lease)
        answer = await self._do(lambda: self.store.renew(lease, seconds=step.seconds))
        leases.renew(self.world, lease, step.seconds * 1000, answer)
        return answer

    async def _close(self, step: steps.Close) -> object:
        lease = self.lease_id(step.lease)
        await self._do(lambda: self.store.close_lease(lease))
        leases.close_lease(self.world, lease)
        return None

    async def _maintain(self, step: steps.Maintain) -> object:
        retention = Retention(
            completed=step.completed, failed=step.failed, max_finished=step.max_finished
        )
        policy = MaintenancePolicy(
            rescue=step.rescue, limit=step.limit, retention=retention, seconds=10
        )
        answer = await self._do(lambda: self.store.maintain(policy))
        Upkeep(self.world, policy, answer).check()
        return answer

    async def _cancel(self, step: steps.Cancel) -> object:
        ids = [self.job_id(name) for name in step.jobs]
        answers = await self._do(lambda: self.store.cancel(ids, running=step.running))
        taking.cancel(self.world, ids, answers, running=step.running)
        return answers

    async def _revive(self, step: steps.Revive) -> object:
        store, ids = self.store, [self.job_id(name) for name in step.jobs]
        if not isinstance(store, SupportsBrowse):
            return None
        answers = await self._do(lambda: store.revive(ids))
        taking.revive(self.world, ids, answers)
        return answers

    async def _release_keys(self, step: steps.ReleaseKeys) -> object:
        store = self.store
        if not isinstance(store, SupportsKeys):
            return None
        answers = await self._do(lambda: store.release_keys(step.keys))
        taking.release_keys(self.world, step.keys, answers)
        return answers

    async def _look(self, step: steps.Look) -> object:
        store = self.store
        if not isinstance(store, SupportsBrowse):
            return None
        query = JobQuery(status=step.status, queue=step.queue, key=step.key, limit=step.limit)
        jobs = await self._do(lambda: _all_pages(store, query))
        looking.found(self.world, query, jobs)
        looking.counted(self.world, await self._do(store.count))
        return None

    async def _wait(self, step: steps.Wait) -> object:
        store = self.store
        if isinstance(store, SupportsClockShift):
            store.shift_clock(step.seconds * 1000)
            self.world.now = self.world.now.plus(step.seconds * 1000)
        return None


async def _all_pages(store: SupportsBrowse, query: JobQuery) -> list[Job]:
    jobs: list[Job] = []
    cursor: str | None = None
    while True:
        page = await store.find(
            JobQuery(
                status=query.status,
                queue=query.queue,
                key=query.key,
                limit=query.limit,
                cursor=cursor,
            )
        )
        jobs += page.jobs
        cursor = page.cursor
        demand(
            len(page.jobs) <= query.limit and len(jobs) <= 10_000,
            "a page is bounded, and the pages come to an end",
            allowed=query.limit,
            answered=len(page.jobs),
        )
        if cursor is None:
            return jobs


def _new_job(plan: steps.Plan, job_id: JobId, began_ms: int) -> NewJob:
    return NewJob(
        id=job_id,
        spec=TaskSpec(
            task=plan.task,
            queue=plan.queue,
            priority=plan.priority,
            execution_backend=plan.executor,
            max_rescues=plan.max_rescues,
            keep_result=plan.keep_result,
        ),
        payload=plan.name.encode(),
        delay_ms=plan.delay * 1000,
        due_ms=None if plan.due is None else began_ms + plan.due * 1000,
        expires_in_ms=None if plan.expires is None else plan.expires * 1000,
        key=None if plan.key is None else KeyRule(key=plan.key, until=_until(plan)),
    )


def _until(plan: steps.Plan) -> Any:
    return plan.until * 1000 if isinstance(plan.until, int) else plan.until
