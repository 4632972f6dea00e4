"""Which lanes a process claims from, and from where on."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import NamedTuple, TypeAlias

from litestar_queues_core.lanes import is_suspect, ordinary, suspects_of
from litestar_queues_core.model import Job
from litestar_queues_core.settlements import Wants
from litestar_queues_sql.claim import LANES_AT_ONCE, Rotation, is_for, turned

Place: TypeAlias = tuple[int, int, str]
START: Place = (-(2**31), -(2**62), "")

LOOK_SECONDS = 1.0
PATIENCE = 20
"""A look takes at most a twentieth of the time."""


class Target(NamedTuple):
    """What one claim looks into.

    Attributes:
        suspects: Lanes of suspects, of which one is claimed first.
        named: Lanes that were named, with the most to take from each.
        others: Lanes that were not.
    """

    suspects: Sequence[str]
    named: Sequence[tuple[str, int]]
    others: Sequence[str]

    def __bool__(self) -> bool:
        return bool(self.suspects or self.named or self.others)


class Lanes:
    """The lanes in which jobs are known to wait, and where the last claim from each has ended.

    To look for lanes costs as much as a claim; so it is done when a claim has found too little, and
    else once a second.  What is raised meanwhile is heard of.
    """

    def __init__(self) -> None:
        self.rotation: Rotation = Rotation()
        self.cursors: dict[str, Place] = {}
        self._known: dict[str, None] = {}
        self._look_at = 0.0

    def came_back(self, topics: Collection[str]) -> None:
        """Note the lanes among topics that were raised, into which old jobs may have come back."""
        self.heard(topics)
        for topic in topics:
            self.cursors.pop(topic[5:], None)

    def heard(self, topics: Collection[str]) -> None:
        """Note the lanes among topics that were raised."""
        for topic in topics:
            if topic.startswith("lane:"):
                self._known[topic[5:]] = None

    @property
    def stale(self) -> bool:
        """Whether it is time to look for lanes."""
        return not self._known or time.monotonic() >= self._look_at

    def found(self, lanes: Collection[str], seconds: float) -> None:
        """Note the lanes in which jobs wait, and how long it took to find them."""
        self._known = dict.fromkeys(lanes)
        self._look_at = time.monotonic() + max(LOOK_SECONDS, PATIENCE * seconds)

    def target(self, wants: Wants, seq: int) -> Target:
        """Return where to claim what is wanted."""
        if wants.limit <= 0:
            return Target((), (), ())
        named = turned(wants, seq)
        others: list[str] = []
        if wants.others > 0:
            others = [lane for lane in self._known if is_for(wants, lane)][:LANES_AT_ONCE]
        suspects: list[str] = []
        if wants.suspects:
            suspects = [suspects_of(lane) for lane, _ in named]
            suspects += filter(is_suspect, others)
        return Target(suspects, named, [lane for lane in others if not is_suspect(lane)])

    def claimed(self, jobs: Sequence[Job], wants: Wants) -> None:
        """Note what was claimed; the lane that was served last comes last the next time."""
        caps = dict(wants.lanes)
        for job in jobs:
            self.cursors[job.lane] = (-job.priority, job.due_ms, job.id)
        served = [job.lane for job in jobs if ordinary(job.lane) not in caps]
        if served and served[-1] in self._known:
            self.rotation.after = served[-1]
            order = list(self._known)
            cut = order.index(served[-1]) + 1
            self._known = dict.fromkeys(order[cut:] + order[:cut])
