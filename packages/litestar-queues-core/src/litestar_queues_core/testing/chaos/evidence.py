"""What is known after a run: who ran what when, and what was wrong meanwhile."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from litestar_queues_core.testing.chaos.faults import Window
from litestar_queues_core.testing.chaos.fleet import Death
from litestar_queues_core.testing.chaos.notes import Note, What

STOPS = (What.RETURNED, What.FAILED, What.INTERRUPTED)


@dataclass(slots=True)
class Run:
    """The code of one delivery, from its first line to its last.

    Attributes:
        job: The job.
        delivery: Which delivery of it.
        pid: Where.
        began: When, by the monotonic clock.
        stopped: When, at the latest as its process died; ``None`` if it still runs.
        how: How it stopped, by its own account.
    """

    job: str
    delivery: int
    pid: int
    began: float
    stopped: float | None = None
    how: What | None = None

    def until(self) -> float:
        """Return when it stopped; the end of time if it has not."""
        return float("inf") if self.stopped is None else self.stopped


@dataclass(slots=True)
class Evidence:
    """All notes, sorted.

    Attributes:
        acknowledged: Ids that producers were told are kept.
        unknown: Ids of which they could not find out, or that were only found in the store.
        keys: The key of those jobs that have one.
        runs: What was run, by job, in order.
        announced: How often the completion of a job was announced.
        ready: Processes that run jobs.
        windows: When what was wrong.
        deaths: How processes have ended.
    """

    acknowledged: set[str] = field(default_factory=set[str])
    unknown: set[str] = field(default_factory=set[str])
    keys: dict[str, str] = field(default_factory=dict[str, str])
    runs: dict[str, list[Run]] = field(default_factory=lambda: defaultdict[str, list[Run]](list))
    announced: dict[str, int] = field(default_factory=lambda: defaultdict[str, int](int))
    ready: set[int] = field(default_factory=set[int])
    windows: Sequence[Window] = ()
    deaths: Mapping[int, Death] = field(default_factory=dict[int, Death])
    ended: int = 0

    @property
    def jobs(self) -> list[str]:
        """Every job that is known from outside of the store."""
        return sorted(self.acknowledged | self.unknown | set(self.runs))

    def add(self, note: Note) -> None:
        """Take up a note."""
        match note.what:
            case What.ACKNOWLEDGED:
                self.acknowledged.add(note.job)
                if note.detail:
                    self.keys[note.job] = note.detail
            case What.UNKNOWN:
                self.unknown.add(note.job)
            case What.READY:
                self.ready.add(note.pid)
            case What.ANNOUNCED:
                self.announced[note.job] += 1
            case What.STARTED:
                run = Run(note.job, note.delivery, note.pid, note.moment)
                self.runs[note.job].append(run)
            case _:
                self._stopped(note)

    def _stopped(self, note: Note) -> None:
        for run in reversed(self.runs[note.job]):
            if (run.delivery, run.pid, run.how) == (note.delivery, note.pid, None):
                run.stopped, run.how = note.moment, note.what
                self.ended += note.what is What.RETURNED
                return

    def close(self, windows: Sequence[Window], deaths: Mapping[int, Death]) -> None:
        """Take up what the run itself knows: code has stopped where its process has died."""
        self.windows, self.deaths = windows, deaths
        for run in (run for runs in self.runs.values() for run in runs):
            death = deaths.get(run.pid)
            if run.stopped is None and death is not None:
                run.stopped = death.moment

    def excuse(self, pid: int, began_ms: int, ended_ms: int, *, blocked: bool) -> bool:
        """Return whether something was wrong with a process, or with all, in this time.

        An orderly end is no excuse: who ends so has given back what it held.

        Args:
            pid: The process.
            began_ms: Milliseconds since 1970, as stores count.
            ended_ms: Likewise.
            blocked: Whether a blocked event loop is an excuse.
        """
        monotonic = time.monotonic() - time.time()
        began, ended = began_ms / 1000 + monotonic, ended_ms / 1000 + monotonic
        death = self.deaths.get(pid)
        died = death is not None and death.code != 0 and began <= death.moment <= ended
        return died or any(
            window.pid in (0, pid)
            and window.began < ended
            and window.ended > began
            and (blocked or window.fault != "block")
            for window in self.windows
        )
