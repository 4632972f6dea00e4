"""Choosing the next step, with an eye on how things stand, so that most steps have an effect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from random import Random
from typing import Protocol, TypeVar

from litestar_queues_core.model import Status
from litestar_queues_core.protocols import SupportsBrowse, SupportsEventLog, SupportsKeys
from litestar_queues_core.settlements import Kind, Wants
from litestar_queues_core.testing.clock import SupportsClockShift
from litestar_queues_core.testing.model import steps
from litestar_queues_core.testing.model.driver import Driver
from litestar_queues_core.testing.model.known import Known, Standing

T = TypeVar("T")

LEASES = ("A", "B", "C")
KEYS = ("k1", "k2")
KINDS = (
    Kind.COMPLETE,
    Kind.RELEASE,
    Kind.RETRY,
    Kind.FAIL,
    Kind.SNOOZE,
    Kind.CANCEL,
    Kind.PUT_BACK,
    Kind.PROGRESS,
)

COMMON = {"enqueue": 3, "swap": 9, "replay": 1, "maintain": 4, "wait": 3, "cancel": 1}
"""How much more often than others some steps are taken."""

THEN = {"wait": "maintain", "cancel": "swap", "enqueue": "swap"}
"""Which step is taken next half of the time, so that what may happen now does."""


WAITING_KINDS = (Kind.RETRY, Kind.SNOOZE, Kind.RELEASE, Kind.PUT_BACK)


class Choices(Protocol):
    """Whoever decides; the first of several options is the simplest."""

    def one_of(self, options: Sequence[T], /) -> T:
        """Return one of *options*."""
        ...


class RandomChoices:
    """Decides by a seed."""

    def __init__(self, seed: int | str) -> None:
        self._random = Random(seed)  # noqa: S311  (no secret: the same seed, the same script)

    def reseed(self, seed: int | str) -> None:
        """Go on with another seed."""
        self._random.seed(seed)

    def one_of(self, options: Sequence[T], /) -> T:
        """Return one of *options*."""
        return self._random.choice(options)


class Chooser:
    """Makes steps for a driver.

    Attributes:
        makers: For each kind of step that the store can take, what makes one.
        lacks: Abilities that the store lacks, so that some steps are never taken.
    """

    def __init__(self, choices: Choices, driver: Driver) -> None:
        self._pick = choices.one_of
        self._driver, self._world = driver, driver.world
        self._numbers = count(1)
        self._names: list[str] = []
        self._last = ""
        store = driver.store
        self._has_keys = isinstance(store, SupportsKeys)
        abilities = {
            "SupportsBrowse": isinstance(store, SupportsBrowse),
            "SupportsKeys": self._has_keys,
            "SupportsEventLog": isinstance(store, SupportsEventLog),
            "shift_clock": isinstance(store, SupportsClockShift),
        }
        self.lacks = tuple(name for name, has in abilities.items() if not has)
        self.makers: dict[str, Callable[[], steps.Step]] = {
            "enqueue": self.enqueue,
            "swap": self.swap,
            "open": self.open,
            "resend": self.resend,
            "replay": self.replay,
            "stale": self.stale,
            "renew": self.renew,
            "close": self.close,
            "maintain": self.maintain,
            "cancel": self.cancel,
        }
        if abilities["SupportsBrowse"]:
            self.makers |= {"revive": self.revive, "look": self.look}
        if self._has_keys:
            self.makers["release_keys"] = self.release_keys
        if abilities["shift_clock"]:
            self.makers["wait"] = self.wait
        self._names_of_makers = [
            name for name in self.makers for _ in range(1 + COMMON.get(name, 0))
        ]

    def step(self) -> steps.Step:
        """Make a step of any kind; the common ones more often."""
        if not self._alive():
            return self.open()
        names = self._names_of_makers
        if self._last in THEN:
            names = self._pick((names, [THEN[self._last]]))
        self._last = self._pick(names)
        return self.makers[self._last]()

    def enqueue(self) -> steps.Step:
        """Enqueue one to four new jobs."""
        number = self._pick((1, 1, 2, 4))
        return steps.Enqueue(jobs=tuple(self._plan() for _ in range(number)))

    def _plan(self) -> steps.Plan:
        pick, name = self._pick, f"j{next(self._numbers)}"
        self._names.append(name)
        if pick((True, False, False)):
            return steps.Plan(name=name)
        return steps.Plan(
            name=name,
            queue=pick(("a", "a", "b")),
            executor=pick((None, None, None, "gpu")),
            priority=pick((0, 0, 5, -5)),
            delay=pick((0, 0, 5, 100)),
            due=pick((None, None, None, -20, -10, 30)),
            expires=pick((None, None, 8, 60)),
            key=pick((None, *KEYS)) if self._has_keys else None,
            until=pick(("finished", "finished", "started", "started", "started", "forever", 90)),
            task=pick(("one", "one", "two")),
            max_rescues=pick((3, 0, 1)),
            keep_result=pick((True, True, False)),
        )

    def resend(self) -> steps.Step:
        """Enqueue one or two jobs again."""
        return steps.Resend(jobs=self._some_jobs())

    def _jobs(self) -> list[Known]:
        return list(self._world.jobs.values())

    def _running(self) -> list[str]:
        return [job.name for job in self._jobs() if job.lease is not None]

    def _some_jobs(self) -> tuple[str, ...]:
        """Name one to three different jobs: half of them live, perhaps one that never was."""
        live = [job.name for job in self._jobs() if not job.status.finished]
        names: list[str] = self._pick((live, self._names)) or ["nobody"]
        picked = [self._pick(names) for _ in range(self._pick((1, 1, 2, 3)))]
        return tuple(dict.fromkeys(picked))

    def _alive(self) -> list[str]:
        fine = {Standing.ALIVE, Standing.DOUBTFUL}
        return [one.name for one in self._world.leases.values() if one.standing in fine]

    def _lease(self) -> str:
        alive = self._alive()
        holding = [name for name in alive if self._world.held(self._driver.lease_id(name))]
        return self._pick([*holding * 6, *alive * 3, *LEASES])

    def open(self) -> steps.Step:
        """Open a lease, old or new."""
        return steps.Open(lease=self._pick(LEASES), seconds=self._pick((60, 30, 90)))

    def swap(self) -> steps.Step:
        """Do a new exchange: settle some of what is held, and claim."""
        lease = self._lease()
        return steps.Swap(
            lease=lease,
            settlements=self._endings(lease),
            wants=self._wants(),
            gap=self._pick((0, 0, 0, 7)),
        )

    def _endings(self, lease: str) -> tuple[steps.Ending, ...]:
        held = self._world.held(self._driver.lease_id(lease))
        endings = [self._ending(job.name) for job in held if self._pick((True, False))]
        if self._pick((False, False, False, True)) and self._names:
            names = self._pick((self._running(), self._names)) or self._names
            endings.append(self._ending(self._pick(names), late=self._pick((0, 0, 1, -1))))
        return tuple(endings)

    def _ending(self, job: str, late: int = 0) -> steps.Ending:
        pick = self._pick
        requested = any(one.name == job and one.cancel_requested for one in self._jobs())
        kind = pick(WAITING_KINDS if requested and pick((True, False)) else KINDS)
        waits = kind in WAITING_KINDS
        followed = kind in {Kind.COMPLETE, Kind.RETRY} and pick((False, False, False, True))
        return steps.Ending(
            job=job,
            kind=kind,
            delay=pick((0, 0, 5, 100)) if waits else 0,
            late=late,
            failure=kind in {Kind.FAIL, Kind.RETRY} and pick((False, True)),
            follow_ups=(self._plan(),) if followed else (),
        )

    def _wants(self) -> Wants:
        pick = self._pick
        named = [
            (lane, pick((2, 1, 0))) for lane in ("a", "b", "a@gpu") if pick((False, False, True))
        ]
        limit = pick((10, 1, 2, 0))
        return Wants(
            limit=limit,
            lanes=named,
            others=pick((limit, limit, 1, 0)),
            executors=pick((frozenset[str](), frozenset({"gpu"}))),
            suspects=pick((0, 1)),
        )

    def replay(self) -> steps.Step:
        """Send the last exchange of a lease again."""
        return steps.Replay(lease=self._lease())

    def stale(self) -> steps.Step:
        """Send an exchange with an old number."""
        lease = self._lease()
        return steps.Stale(
            lease=lease,
            settlements=self._endings(lease),
            wants=self._wants(),
            back=self._pick((1, 2, 10)),
        )

    def renew(self) -> steps.Step:
        """Renew a lease."""
        return steps.Renew(lease=self._lease(), seconds=self._pick((60, 30, 90)))

    def close(self) -> steps.Step:
        """Close a lease."""
        return steps.Close(lease=self._lease())

    def maintain(self) -> steps.Step:
        """Maintain, now and then with tight limits."""
        pick = self._pick
        if pick((True, True, False)):
            return steps.Maintain()
        return steps.Maintain(
            rescue=pick((True, True, False)),
            limit=pick((1000, 1, 2)),
            completed=pick((86_400, 100, 0)),
            failed=pick((604_800, 300, 0)),
            max_finished=pick((1_000_000, 2, 0)),
        )

    def cancel(self) -> steps.Step:
        """Cancel jobs, running or not."""
        running = self._running()
        also_running = self._pick((True, False))
        if self._pick((True, False)) and running:
            return steps.Cancel(jobs=(self._pick(running),), running=also_running)
        return steps.Cancel(jobs=self._some_jobs(), running=also_running)

    def revive(self) -> steps.Step:
        """Revive jobs, most of them finished."""
        finished = [job.name for job in self._jobs() if job.status.finished]
        if not finished or self._pick((False, False, False, True)):
            return steps.Revive(jobs=self._some_jobs())
        picked = [self._pick(finished) for _ in range(self._pick((1, 2)))]
        return steps.Revive(jobs=tuple(dict.fromkeys(picked)))

    def release_keys(self) -> steps.Step:
        """Release keys by hand."""
        return steps.ReleaseKeys(keys=self._pick((("k1",), ("k2",), ("k1", "k2", "k1"))))

    def look(self) -> steps.Step:
        """Look through the jobs."""
        pick = self._pick
        finished = tuple(status for status in Status if status.finished)
        return steps.Look(
            status=pick(((), (), (Status.PENDING,), (Status.RUNNING,), finished)),
            queue=pick((None, None, "a")),
            key=pick((None, None, None, *KEYS)) if self._has_keys else None,
            limit=pick((50, 2, 3)),
        )

    def wait(self) -> steps.Step:
        """Let time go by."""
        return steps.Wait(seconds=self._pick((1, 7, 25, 40, 70, 200)))
