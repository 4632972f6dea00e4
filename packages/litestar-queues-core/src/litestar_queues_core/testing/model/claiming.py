"""Which jobs an exchange may hand out, and which it must."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from litestar_queues_core.lanes import LOCAL, executor_of, is_suspect, ordinary
from litestar_queues_core.model import Job, Status
from litestar_queues_core.settlements import Wants
from litestar_queues_core.testing.model.disagreement import demand
from litestar_queues_core.testing.model.known import (
    Known,
    KnownLease,
    World,
    claimed_facts,
    exactly,
    is_allowed,
    match,
    passed,
)
from litestar_queues_core.testing.model.leaving import free

WITHIN_WANTS = "claims stay within what was wanted"
ORDER = "jobs of a lane come in order"
COMPLETE = "what can be claimed is claimed"
ONCE = "only what waits is handed out, to one worker"
DELIVERY = "delivery rises by one at each claim"
EXPIRED = "an expired job is never handed out"


def claim(world: World, lease: KnownLease, wants: Wants, claimed: Sequence[Job]) -> None:
    """Check what was handed out, and let the lease hold it."""
    _note_places(world)
    for job in claimed:
        _demand_claimable(world, job)
    claiming = _Claiming(world, wants, [world.jobs[job.id] for job in claimed])
    claiming.check_wants()
    claiming.check_order()
    claiming.check_complete()
    for job in claimed:
        _hand_out(world, lease, world.jobs[job.id], job)


def _note_places(world: World) -> None:
    """Learn the due times that were settled in this exchange; they order the lanes."""
    for known in world.jobs.values():
        seen, span = world.seen.get(known.id), known.open.get("due_ms")
        if seen is not None and span is not None and is_allowed(seen.due_ms, span):
            known.due_ms = seen.due_ms
            known.open["due_ms"] = exactly(seen.due_ms)


def _demand_claimable(world: World, job: Job) -> None:
    known, now = world.jobs.get(job.id), world.now
    demand(
        known is not None and known.status in {Status.PENDING, Status.SCHEDULED},
        ONCE,
        allowed=known or f"{world.name(job.id)} is unknown",
        answered=f"{world.name(job.id)} handed out",
    )
    known = world.jobs[job.id]
    demand(
        known.status is Status.PENDING or passed(known.span("due_ms"), now) is not False,
        "no job is handed out before it is due",
        allowed=f"{known.name} is due at {known.due_ms}",
        answered=f"handed out at {now.low}",
    )
    demand(
        known.expires_ms is None or passed(known.span("expires_ms"), now) is not True,
        EXPIRED,
        allowed=f"{known.name} has expired",
        answered="it is handed out",
    )
    demand(
        job.delivery == known.delivery + 1,
        DELIVERY,
        allowed=f"{known.name}/{known.delivery + 1}",
        answered=f"{known.name}/{job.delivery}",
    )


def _hand_out(world: World, lease: KnownLease, known: Known, job: Job) -> None:
    known.status = Status.RUNNING
    known.open.pop("status", None)
    known.delivery += 1
    known.lease, known.worker = lease.id, lease.worker
    known.at("started_ms", world.now)
    known.open["progress"] = (known.progress, None)
    free(world, known, "started")
    match(known, claimed_facts(job))


class _Claiming:
    """The claims of one exchange, against its wants."""

    def __init__(self, world: World, wants: Wants, claimed: Sequence[Known]) -> None:
        self._wants = wants
        self._caps = dict(wants.lanes)
        self._claimed = claimed
        self._taken = Counter(ordinary(job.lane) for job in claimed)
        names = {job.id for job in claimed}
        self._left = [
            job
            for job in world.jobs.values()
            if job.id not in names and _is_surely_claimable(world, job)
        ]

    def _cap(self, home: str) -> int:
        """Return how many jobs may come from an ordinary lane, if no other gives any."""
        if home in self._caps:
            return self._caps[home]
        allowed = executor_of(home) in {LOCAL, *self._wants.executors}
        return self._wants.others if allowed else 0

    def _others(self) -> int:
        return sum(number for home, number in self._taken.items() if home not in self._caps)

    def _room(self, home: str) -> int:
        """Return how many more jobs may come from an ordinary lane."""
        taken = self._taken[home] if home in self._caps else self._others()
        return self._cap(home) - taken

    def check_wants(self) -> None:
        """Demand that no cap is exceeded, and that a suspect comes first and alone."""
        wants, lanes = self._wants, [job.lane for job in self._claimed]
        over = [home for home in self._taken if self._cap(home) <= 0 or self._room(home) < 0]
        suspects = [place for place, lane in enumerate(lanes) if is_suspect(lane)]
        demand(
            len(lanes) <= max(0, wants.limit) and not over,
            WITHIN_WANTS,
            allowed=wants,
            answered=f"{len(lanes)} from {', '.join(lanes)}",
        )
        demand(
            suspects in ([], [0][: wants.suspects]),
            "at most one suspect is handed out, first, if wanted",
            allowed=f"{wants.suspects} suspect",
            answered=", ".join(lanes),
        )

    def check_order(self) -> None:
        """Demand that the jobs of each lane are its first ones, in order."""
        for lane, jobs in self._by_lane():
            rest = [job for job in self._left if job.lane == lane]
            expected = sorted([*jobs, *rest], key=lambda job: job.order)[: len(jobs)]
            demand(
                list(jobs) == expected,
                ORDER,
                allowed=f"{lane}: {', '.join(job.name for job in expected)}",
                answered=", ".join(job.name for job in jobs),
            )

    def _by_lane(self) -> Iterator[tuple[str, list[Known]]]:
        for lane in {job.lane for job in self._claimed}:
            yield lane, [job for job in self._claimed if job.lane == lane]

    def check_complete(self) -> None:
        """Demand that nothing is left behind for which there was room."""
        wants = self._wants
        left = [job for job in self._left if not is_suspect(job.lane)]
        if len(self._claimed) >= wants.limit:
            left = []
        missed = [job for job in left if self._room(job.lane) > 0]
        if wants.suspects and wants.limit > 0 and not self._has_suspect():
            missed += [
                job
                for job in self._left
                if is_suspect(job.lane) and self._cap(ordinary(job.lane)) > 0
            ]
        demand(
            not missed,
            COMPLETE,
            allowed=f"{', '.join(map(str, missed))} as well",
            answered=", ".join(job.name for job in self._claimed) or "nothing",
        )

    def _has_suspect(self) -> bool:
        return any(is_suspect(job.lane) for job in self._claimed)


def _is_surely_claimable(world: World, job: Known) -> bool:
    if job.status is not Status.PENDING or "status" in job.open:
        return False
    return job.expires_ms is None or passed(job.span("expires_ms"), world.now) is False
