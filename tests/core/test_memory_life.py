from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar, cast

from hypothesis import settings, strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from litestar_queues_core.ids import JobId
from litestar_queues_core.model import Job, Retention, Status
from litestar_queues_core.settlements import (
    CancelOutcome,
    JobQuery,
    Kind,
    MaintenancePolicy,
    Settlement,
    Wants,
)
from litestar_queues_core.stores.memory import MemoryStore
from litestar_queues_core.testing import Claimer, make_job, settled, shift_clock

T = TypeVar("T")


def finish(step: Awaitable[T]) -> T:
    """Run what never waits to its end, without an event loop."""
    try:
        cast(Coroutine[Any, Any, T], step).send(None)
    except StopIteration as end:
        return cast(T, end.value)
    raise AssertionError("it waits")


LANES = ("default", "mail", "mail@gpu")
KINDS = (
    Kind.COMPLETE,
    Kind.FAIL,
    Kind.RETRY,
    Kind.SNOOZE,
    Kind.CANCEL,
    Kind.RELEASE,
    Kind.PUT_BACK,
    Kind.PROGRESS,
)
POLICY = MaintenancePolicy(retention=Retention(completed=300, failed=600, max_finished=20), limit=5)


class LifeOfJobs(RuleBasedStateMachine):
    """Do anything in any order, and count what is where."""

    jobs = Bundle("jobs")
    held = Bundle("held")
    claimers = Bundle("claimers")

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        self.known: dict[JobId, Job] = {}
        self.deliveries: set[tuple[JobId, int]] = set()

    @initialize(target=claimers)
    def begin(self) -> Claimer:
        return finish(Claimer(self.store).open(seconds=60))

    @rule(target=claimers)
    def another_worker(self) -> Claimer:
        return finish(Claimer(self.store).open(seconds=60))

    @rule(
        target=jobs,
        lane=st.sampled_from(LANES),
        priority=st.integers(-1, 1),
        delay_ms=st.sampled_from([0, 0, 30_000]),
        expires_in_ms=st.sampled_from([None, None, 45_000]),
        key=st.sampled_from([None, "a", "b"]),
        max_rescues=st.integers(0, 2),
    )
    def enqueue(self, lane: str, **fields: Any) -> JobId:
        queue, _, executor = lane.partition("@")
        new = make_job(queue=queue, execution_backend=executor or None, **fields)
        (answer,) = finish(self.store.enqueue([new]))
        assert answer.error is None
        assert (answer.id == new.id) is answer.created
        return answer.id

    @rule(
        target=held,
        claimer=claimers,
        limit=st.integers(0, 5),
        cap=st.integers(0, 3),
        others=st.integers(0, 5),
        suspects=st.integers(0, 1),
    )
    def claim(self, claimer: Claimer, limit: int, cap: int, others: int, suspects: int) -> Any:
        wants = Wants(
            limit=limit,
            lanes=[("mail", cap)],
            others=others,
            executors=frozenset({"gpu"}),
            suspects=suspects,
        )
        if not self._alive(claimer):
            return multiple()
        claimed = finish(claimer.exchange(wants=wants)).claimed
        assert len(claimed) <= limit
        assert sum(job.queue == "mail" and "@" not in job.lane for job in claimed) <= cap
        assert [job.lane.endswith("~") for job in claimed[1:]] == [False] * len(claimed[1:])
        for job in claimed:
            assert (job.id, job.delivery) not in self.deliveries
            assert job.expires_ms is None or job.expires_ms > self._now()
            self.deliveries.add((job.id, job.delivery))
        return multiple(*((claimer, job) for job in claimed))

    @rule(
        one=consumes(held),
        kind=st.sampled_from(KINDS),
        delay_ms=st.sampled_from([0, 20_000]),
        follow_up=st.booleans(),
    )
    def settle(
        self, one: tuple[Claimer, Job], kind: Kind, delay_ms: int, *, follow_up: bool
    ) -> None:
        claimer, job = one
        if not self._alive(claimer):
            return
        before = self._look(job.id)
        follow_ups = [make_job(key="a")] if follow_up else []
        settlement = Settlement(
            id=job.id,
            delivery=job.delivery,
            kind=kind,
            delay_ms=delay_ms,
            follow_ups=follow_ups,
        )
        answer = finish(claimer.exchange([settlement]))
        after = self._look(job.id)
        again = finish(claimer.replay([settlement]))

        assert self._look(job.id) == after
        assert (list(again.rejected), list(again.ended)) == (
            list(answer.rejected),
            list(answer.ended),
        )
        if answer.rejected:
            assert after == before
        elif answer.ended:
            assert after is not None
            assert after.status is Status.CANCELLED
            assert finish(self.store.get([new.id for new in follow_ups])) == [None] * len(
                follow_ups
            )

    @rule(job_id=jobs, running=st.booleans())
    def cancel(self, job_id: JobId, *, running: bool) -> None:
        before = self._look(job_id)
        (outcome,) = finish(self.store.cancel([job_id], running=running))
        after = self._look(job_id)

        if outcome is CancelOutcome.CANCELLED:
            assert before is not None
            assert before.status in {Status.PENDING, Status.SCHEDULED}
            assert after is not None
            assert after.status is Status.CANCELLED
        elif outcome is not CancelOutcome.REQUESTED:
            assert after == before

    @rule(job_id=jobs)
    def revive(self, job_id: JobId) -> None:
        before = self._look(job_id)
        (answer,) = finish(self.store.revive([job_id]))

        if answer.created:
            assert before is not None
            assert before.status.finished
        else:
            assert self._look(job_id) == before

    @rule(seconds=st.sampled_from([0, 10, 50, 400]))
    def let_time_go_by(self, seconds: int) -> None:
        shift_clock(self.store, timedelta(seconds=seconds))

    @rule()
    def maintain(self) -> None:
        done = finish(self.store.maintain(POLICY))
        assert all(moved.old is not moved.new for moved in done.moved)

    @rule(claimer=claimers)
    def renew(self, claimer: Claimer) -> None:
        finish(self.store.renew(claimer.lease, seconds=60))

    @rule(claimer=consumes(claimers))
    def close(self, claimer: Claimer) -> None:
        finish(self.store.close_lease(claimer.lease))

    @invariant()
    def every_job_is_counted_once(self) -> None:
        found = finish(self.store.find(JobQuery(limit=10_000))).jobs
        counts = finish(self.store.count())

        counted = Counter[Status]()
        for one in counts.counts:
            counted[one.status] += one.value
        statuses = Counter(job.status for job in found)
        aside = statuses[Status.PENDING] - counted[Status.PENDING]
        overdue = sum(
            job.status is Status.PENDING
            and job.expires_ms is not None
            and job.expires_ms <= counts.now_ms
            for job in found
        )
        assert 0 <= aside <= overdue
        statuses[Status.PENDING] -= aside
        assert +statuses == +counted
        assert sum(lease.held for lease in counts.leases) == statuses[Status.RUNNING]

    @invariant()
    def no_job_is_lost(self) -> None:
        found = {job.id: job for job in finish(self.store.find(JobQuery(limit=10_000))).jobs}
        for job_id, before in self.known.items():
            after = found.get(job_id)
            if after is None:
                assert before.status.finished
            else:
                assert after.delivery >= before.delivery
        self.known = found

    def teardown(self) -> None:
        """Whatever happened, all that is left can be run to its end."""
        shift_clock(self.store, timedelta(hours=1))
        claimer = finish(Claimer(self.store).open(seconds=1e6))
        for _ in range(1000):
            finish(self.store.maintain(MaintenancePolicy()))
            jobs = finish(claimer.claim(10, executors=frozenset({"gpu"}), suspects=1))
            finish(claimer.exchange([settled(job, Kind.COMPLETE) for job in jobs]))
            if not jobs:
                break
        left = finish(self.store.find(JobQuery(limit=10_000))).jobs
        assert all(job.status.finished for job in left)

    def _alive(self, claimer: Claimer) -> bool:
        return finish(self.store.renew(claimer.lease, seconds=60)).alive

    def _look(self, job_id: JobId) -> Job | None:
        return finish(self.store.get([job_id]))[0]

    def _now(self) -> int:
        return finish(self.store.count()).now_ms


TestLifeOfJobs = LifeOfJobs.TestCase
TestLifeOfJobs.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
