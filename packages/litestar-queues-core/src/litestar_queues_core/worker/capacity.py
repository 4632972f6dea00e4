"""How much a worker asks for, decided without waiting for anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from litestar_queues_core.lanes import lane_of
from litestar_queues_core.settlements import NOTHING, Wants
from litestar_queues_core.worker.holdings import Holdings

PREFETCH = 100
SOON = 0.5


class Capacity:
    """Turns what a process holds into what it wants.

    Args:
        concurrency: Jobs that run at the same time.
        queues: The only queues to work on; empty means all.
        limits: Lower limits for single queues.
        executors: Names of the executors other than ``local`` whose jobs this process takes.
        local: Whether it takes jobs that run in the worker itself.
    """

    def __init__(
        self,
        *,
        concurrency: int,
        queues: Sequence[str],
        limits: Mapping[str, int],
        executors: frozenset[str],
        local: bool = True,
    ) -> None:
        self.concurrency = concurrency
        self.limits = dict(limits)
        self.executors = executors
        self._every = not queues
        names = tuple(queues) if queues else tuple(self.limits)
        places = ([None] if local else []) + sorted(executors)
        self._lanes = [(queue, lane_of(queue, place)) for queue in names for place in places]

    @property
    def topics(self) -> list[str]:
        """The signals that mean work for this process."""
        if self._every:
            return ["lane:*"]
        return [f"lane:{lane}{mark}" for _, lane in self._lanes for mark in ("", "~")]

    def wants(self, holdings: Holdings) -> Wants:
        """Return what to ask for now.

        Jobs are fetched ahead only while they take well under half a second, and never for a
        queue with a limit of its own.
        """
        free = self.concurrency - len(holdings.running) - len(holdings.buffer)
        limit = free + self._ahead(holdings)
        if limit <= 0:
            return NOTHING
        used = self._used(holdings)
        return Wants(
            limit=limit,
            lanes=[(lane, self._cap(queue, limit, free, used)) for queue, lane in self._lanes],
            others=limit if self._every else 0,
            executors=self.executors,
            suspects=1 if free > 0 and holdings.suspect_place() else 0,
        )

    def _ahead(self, holdings: Holdings) -> int:
        if holdings.mean is None or holdings.mean >= SOON:
            return 0
        share = 1 - holdings.mean / SOON
        return round(min(self.concurrency, PREFETCH) * share)

    def _cap(self, queue: str, limit: int, free: int, used: Mapping[str, int]) -> int:
        if queue not in self.limits:
            return limit
        return max(0, min(free, self.limits[queue] - used.get(queue, 0)))

    def _used(self, holdings: Holdings) -> Mapping[str, int]:
        return Counter(
            run.job.queue
            for runs in (holdings.running, holdings.buffer)
            for run in runs
            if run.job.queue in self.limits
        )
