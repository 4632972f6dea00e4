"""What goes wrong in a run, and when."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from typing import NamedTuple

from litestar_queues_core.testing.chaos.fleet import Fleet
from litestar_queues_core.testing.chaos.proxy import Proxy
from litestar_queues_core.testing.chaos.targets import (
    ChaosTarget,
    SupportsDisk,
    SupportsProxy,
    SupportsServer,
)
from litestar_queues_core.testing.chaos.worker import BLOCK, BLOCKED

FAULTS = {
    "kill": "a worker or a producer is ended by SIGKILL, and replaced after a moment",
    "stop": "a worker is stopped by SIGSTOP for longer than its lease, then goes on",
    "block": "the event loop of a worker is blocked for longer than its lease",
    "server": "the server is killed, and started again after a while",
    "delay": "the network takes up to half a second, each way",
    "cut": "all connections are reset",
    "hole": "what is sent vanishes, nobody is told, and the connections stay silent",
    "drop": "requests arrive, and the connection is reset before the answer",
    "disk": "the disk is full for a while",
}
NETWORK = ("delay", "cut", "hole", "drop")
STORAGE = "storage"
LATENCIES = (0.001, 0.05, 0.5)
KILLS_WORKERS = 0.75
SPACING = 0.6
"""Leases between two faults, on average."""


def skipped(faults: Sequence[str], target: ChaosTarget, no_disk: str) -> dict[str, str]:
    """Return which faults this target cannot have, and why.

    Args:
        faults: What is asked for.
        target: The target.
        no_disk: Why no disk can be made here, or nothing.
    """
    needs: dict[str, tuple[bool, str]] = {
        "server": (isinstance(target, SupportsServer), "it has no server of its own"),
        "disk": (
            isinstance(target, SupportsDisk) and not no_disk,
            no_disk or "it has no disk that can be filled",
        ),
    }
    network = (isinstance(target, SupportsProxy), "it is not reached over a network")
    needs |= dict.fromkeys(NETWORK, network)
    return {fault: needs[fault][1] for fault in faults if fault in needs and not needs[fault][0]}


class Planned(NamedTuple):
    """A fault that is going to happen.

    Attributes:
        at: Seconds after the beginning.
        fault: Which.
        size: From 0 to 1: how bad, for how long.
    """

    at: float
    fault: str
    size: float


def plan(faults: Sequence[str], *, seconds: float, lease: float, seed: int) -> list[Planned]:
    """Return what is going to happen: each fault at least once, in the order of a shuffle."""
    rng = random.Random(f"{seed}/plan")  # noqa: S311
    number = max(len(faults), int(seconds / (SPACING * lease))) if faults else 0
    turns: list[str] = []
    while len(turns) < number:
        turns += rng.sample(faults, len(faults))
    share = seconds / max(number, 1)
    return [
        Planned(share * (turn + rng.uniform(0.3, 1.0)), fault, rng.random())
        for turn, fault in enumerate(turns[:number])
    ]


class Window(NamedTuple):
    """A time in which something was wrong.

    Attributes:
        fault: What.
        pid: With which process; 0 means with all.
        began: When, by the monotonic clock.
        ended: When it was over.
    """

    fault: str
    pid: int
    began: float
    ended: float


class Faults:
    """Lets happen what is planned.

    Attributes:
        counts: How often each fault has happened.
        windows: When what was wrong.
        ready: Workers that know the signal by which their loops are blocked.
    """

    def __init__(
        self, fleet: Fleet, target: ChaosTarget, proxy: Proxy | None, *, lease: float, seed: int
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.windows: list[Window] = []
        self.ready: set[int] = set()
        self._fleet = fleet
        self._target = target
        self._proxy = proxy
        self._lease = lease
        self._rng = random.Random(f"{seed}/faults")  # noqa: S311
        self._busy: set[int] = set()
        self._turns = {fault: asyncio.Lock() for fault in (*NETWORK, STORAGE)}

    async def happen(self, planned: Sequence[Planned]) -> None:
        """Let it all happen; returns once the last fault is over."""
        begun = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for at, fault, size in planned:
                await asyncio.sleep(max(0.0, begun + at - time.monotonic()))
                group.create_task(self._one(fault, size))

    async def _one(self, fault: str, size: float) -> None:
        happens: dict[str, Callable[[float], Awaitable[int | None]]] = {
            "kill": self._kill,
            "stop": self._stop,
            "block": self._block,
            "server": self._restart_server,
            "disk": self._fill_disk,
            **{one: partial(self._network, one) for one in NETWORK},
        }
        async with self._turn(fault):
            began = time.monotonic()
            pid = await happens[fault](size)
            if pid is not None:
                self.counts[fault] += 1
                self.windows.append(Window(fault, pid, began, time.monotonic()))

    def _turn(self, fault: str) -> AbstractAsyncContextManager[object]:
        """Let one thing of a kind happen at a time, unless it happens to one process."""
        return self._turns.get(STORAGE if fault in ("server", "disk") else fault, nullcontext())

    async def _kill(self, size: float) -> int | None:
        """Kill a worker, or sometimes a producer; one that is stopped dies as well.

        A worker that only starts is spared: on a slow machine none would ever get to work.
        """
        if size < KILLS_WORKERS:
            seats = [seat for seat in self._fleet.seats("worker") if seat.pid in self.ready]
        else:
            seats = [*self._fleet.seats("producer")]
        if not seats:
            return None
        seat = self._rng.choice(seats)
        pid = seat.pid
        seat.send(signal.SIGKILL)
        return pid

    def _victim(self) -> int | None:
        """Return a worker at work that nothing else is wrong with, and not the last of these."""
        ready = self.ready.intersection(seat.pid for seat in self._fleet.seats("worker"))
        free = sorted(ready - self._busy)
        return self._rng.choice(free) if len(free) > 1 else None

    async def _stop(self, size: float) -> int | None:
        return await self._afflict(signal.SIGSTOP, (1.2 + size) * self._lease, signal.SIGCONT)

    async def _block(self, size: float) -> int | None:
        return await self._afflict(BLOCK, BLOCKED * self._lease)

    async def _afflict(
        self, signal_: signal.Signals, seconds: float, after: signal.Signals | None = None
    ) -> int | None:
        pid = self._victim()
        if pid is None:
            return None
        (seat,) = (one for one in self._fleet.seats("worker") if one.pid == pid)
        self._busy.add(pid)
        seat.send(signal_)
        try:
            await asyncio.sleep(seconds)
        finally:
            self._busy.remove(pid)
            if after is not None and seat.pid == pid:
                seat.send(after)
        return pid

    async def _restart_server(self, size: float) -> int:
        assert isinstance(self._target, SupportsServer)
        await asyncio.to_thread(self._target.kill)
        await asyncio.sleep(2.0 * size * self._lease)
        await asyncio.to_thread(self._target.restart)
        return 0

    async def _fill_disk(self, size: float) -> int:
        assert isinstance(self._target, SupportsDisk)
        try:
            await asyncio.to_thread(self._target.fill_disk)
            await asyncio.sleep((0.3 + 1.5 * size) * self._lease)
        finally:
            await asyncio.to_thread(self._target.free_disk)
        return 0

    async def _network(self, fault: str, size: float) -> int:
        assert self._proxy is not None
        if fault == "cut":
            self._proxy.cut()
        elif fault == "delay":
            self._proxy.latency = LATENCIES[int(size * len(LATENCIES))]
            await asyncio.sleep(self._lease)
            self._proxy.latency = 0.0
        elif fault == "hole":
            with self._proxy.hole():
                await asyncio.sleep((0.1 + 0.5 * size) * self._lease)
        else:
            with self._proxy.dropping():
                await asyncio.sleep((0.1 + 0.5 * size) * self._lease)
        return 0
