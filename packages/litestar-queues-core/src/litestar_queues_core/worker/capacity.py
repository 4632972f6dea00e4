"""How much a worker asks for, decided without waiting for anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from litestar_queues_core.lanes import lane_of
from litestar_queues_core.loop import now
from litestar_queues_core.settlements import NOTHING, Wants
from litestar_queues_core.worker.holdings import Holdings

PREFETCH, MOST_AHEAD = 100, 400
"""Jobs that are fetched ahead, and how many if they are over in no time."""
NO_TIME = 0.02
"""Seconds for which more than the usual number is fetched ahead."""
SOON = 0.5


class Pace:
    """How many jobs a process ends in no time, as it turned out of late."""

    def __init__(self) -> None:
        self._looked = 0.0
        self._finished = 0
        self._number = 0.0

    def look(self, finished: int, moment: float) -> float:
        """Return that number, when so many jobs have ended in all."""
        elapsed = moment - self._looked
        if elapsed >= NO_TIME:
            self._number = (finished - self._finished) * NO_TIME / elapsed
            self._looked, self._finished = moment, finished
        return self._number


class Capacity:
    """Turns what a process holds into what it wants.

    The limit of a queue holds over all its lanes together, those of suspects included.  So only
    one of its lanes is asked at a time, and each begins a round in turn.

    Args:
        concurrency: Jobs that run at the same time.
        queues: The only queues to work on; empty means all.
        limits: Lower limits for single queues.
        executors: Names of the executors other than ``local`` whose jobs this process takes.
        local: Whether it takes jobs that run in the worker itself.
        clock: Tells the time in seconds.
    """

    def __init__(
        self,
        *,
        concurrency: int,
        queues: Sequence[str],
        limits: Mapping[str, int],
        executors: frozenset[str],
        local: bool = True,
        clock: Callable[[], float] = now,
    ) -> None:
        self.concurrency = concurrency
        self._pace = Pace()
        self._clock = clock
        self.limits: Mapping[str, int] = dict(limits)
        self.executors = executors
        self._every = not queues
        names = dict.fromkeys(queues or self.limits)
        places = ([None] if local else []) + sorted(executors)
        self._lanes = [
            (queue, number, lane_of(queue, place))
            for queue in names
            for number, place in enumerate(places)
        ]
        limited = any(queue in self.limits for queue in names)
        self._turns = max(1, len(places)) if limited else 1
        self._asked = 0

    @property
    def topics(self) -> list[str]:
        """The signals that mean work for this process."""
        if self._every:
            return ["lane:*"]
        return [f"lane:{lane}{mark}" for *_, lane in self._lanes for mark in ("", "~")]

    @property
    def round_over(self) -> bool:
        """Whether every lane was asked; before that, a rest could miss work that waits."""
        return self._asked % self._turns == 0

    def wants(self, holdings: Holdings) -> Wants:
        """Return what to ask for now.

        Jobs are fetched ahead only while they take well under half a second, and never for a
        queue with a limit of its own.  As many as there are slots, up to a hundred; more if this
        process ends more in a fiftieth of a second, because a store does many with one exchange
        for little more than a few.
        """
        free = self.concurrency - len(holdings.running) - len(holdings.buffer)
        limit = free + self._ahead(holdings)
        if limit <= 0:
            return NOTHING
        room, turn = self._room(holdings, free), self._turn()
        return Wants(
            limit=limit,
            lanes=[
                (lane, room.get(queue, limit) if number == turn or queue not in room else 0)
                for queue, number, lane in self._lanes
            ],
            others=limit if self._every else 0,
            executors=self.executors,
            suspects=1 if free > 0 and holdings.suspect_place() else 0,
        )

    def _ahead(self, holdings: Holdings) -> int:
        if holdings.mean is None or holdings.mean >= SOON:
            return 0
        quick = min(self._pace.look(holdings.finished, self._clock()), MOST_AHEAD)
        share = 1 - holdings.mean / SOON
        return round(max(min(self.concurrency, PREFETCH), quick) * share)

    def _turn(self) -> int:
        """Return the number of the place whose lanes are asked now."""
        rounds, step = divmod(self._asked, self._turns)
        self._asked += 1
        return (rounds + step) % self._turns

    def _room(self, holdings: Holdings, free: int) -> Mapping[str, int]:
        """Return how many more jobs of each limited queue may be held."""
        if not self.limits:
            return {}
        used = Counter(run.job.queue for run in (*holdings.running, *holdings.buffer))
        return {
            queue: max(0, min(free, limit - used[queue])) for queue, limit in self.limits.items()
        }
