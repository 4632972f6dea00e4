"""The way between a simulated process and the store, and what may happen on it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from litestar_queues_core.errors import QueueError, StoreError, StoreUnavailable
from litestar_queues_core.protocols import Store
from litestar_queues_core.testing.simulation.process import PROCESS, Process
from litestar_queues_core.testing.simulation.referee import Referee

ROBUST = ("exchange", "renew", "maintain", "wait")
"""Calls whose callers go on, whatever comes back."""
ODD = 0.4


class Weather(NamedTuple):
    """How likely what is, for each call.

    Attributes:
        slow: The request or its answer is delayed.
        refused: The connection fails before the request has its effect.
        cut: The connection fails after it.
        silent: The answer never comes, whether there was an effect or not.
        delay: The longest delay in seconds.
    """

    slow: float = 0.0
    refused: float = 0.0
    cut: float = 0.0
    silent: float = 0.0
    delay: float = 0.5


class Network:
    """Carries calls to one store.

    Attributes:
        weather: What to expect.
        down: Whether nothing gets through at all.
        apart: The processes from which nothing gets through.
        parted: Those from which nothing got through at some time.
        faults: How often what happened.
    """

    def __init__(self, store: Store, referee: Referee, chance: random.Random) -> None:
        self.store = store
        self.referee = referee
        self.chance = chance
        self.weather = Weather()
        self.down = False
        self.apart: set[Process] = set()
        self.parted: set[Process] = set()
        self.faults: Counter[str] = Counter()
        self.server = Process("store")
        referee.network = self

    @property
    def undisturbed(self) -> bool:
        """Whether every call so far has come through at once."""
        return self.calm and not self.faults["down"]

    @property
    def calm(self) -> bool:
        """Whether calls come through at once, unless nothing comes through at all."""
        return not any(self.faults[how] for how in ("refused", "cut", "silent", "slow"))

    async def call(self, process: Process, name: str, *args: Any, **kwargs: Any) -> Any:
        """Do one call, if the network lets it."""
        draw = self.chance.random()
        if self.down or process in self.apart:
            return self._fail("down", process, name)
        for fate in ("refused", "cut", "silent", "slow"):
            draw -= getattr(self.weather, fate)
            if draw < 0:
                return await getattr(self, f"_{fate}")(process, name, args, kwargs)
        return await self._effect(process, name, args, kwargs)

    def _fail(self, how: str, process: Process, name: str) -> Any:
        self._happened(how, process, name)
        if name in ROBUST and self.chance.random() < ODD:
            raise StoreError(f"simulated, and unforeseen: {how}")
        raise StoreUnavailable(f"simulated: {how}")

    def _happened(self, how: str, process: Process, name: str) -> None:
        self.faults[how] += 1
        self.referee.tell(process, f"{name}: {how}")

    async def _refused(self, process: Process, name: str, args: Any, kwargs: Any) -> Any:
        self._fail("refused", process, name)

    async def _cut(self, process: Process, name: str, args: Any, kwargs: Any) -> Any:
        await self._sent(process, name, args, kwargs)
        self._fail("cut", process, name)

    async def _silent(self, process: Process, name: str, args: Any, kwargs: Any) -> Any:
        self._happened("silent", process, name)
        if self.chance.random() < 0.5:
            await self._sent(process, name, args, kwargs)
        await asyncio.get_running_loop().create_future()

    async def _slow(self, process: Process, name: str, args: Any, kwargs: Any) -> Any:
        self._happened("slow", process, name)
        answer = await self._sent(process, name, args, kwargs)
        await asyncio.sleep(self.chance.random() * self.weather.delay)
        return answer

    async def _sent(self, process: Process, name: str, args: Any, kwargs: Any) -> Any:
        """What is on its way arrives, whatever becomes of its sender."""
        if name == "wait":
            return await self._effect(process, name, args, kwargs)
        delay = self.chance.random() * self.weather.delay
        arriving = self.server.spawn(self._arrive(delay, process, name, args, kwargs))
        answer = await asyncio.shield(arriving)
        if isinstance(answer, QueueError):
            raise answer
        return answer

    async def _arrive(
        self, delay: float, process: Process, name: str, args: Any, kwargs: Any
    ) -> Any:
        await asyncio.sleep(delay)
        try:
            return await self._effect(process, name, args, kwargs)
        except QueueError as error:
            return error

    async def _effect(self, process: Process, name: str, args: Any, kwargs: Any) -> Any:
        method = getattr(self.store, name)
        if name == "wait":  # the part of the caller that waits, and is frozen and killed with it
            return await method(*args, **kwargs)
        ours = PROCESS.set(self.server)
        try:
            answer = await method(*args, **kwargs)
        except QueueError as error:
            self.referee.refused(process, name, args, error)
            raise
        finally:
            PROCESS.reset(ours)
        self.referee.saw(process, name, args, kwargs, answer)
        return answer


def _carried(name: str) -> Any:
    async def method(self: SimulatedStore, *args: Any, **kwargs: Any) -> Any:
        return await self.network.call(self.process, name, *args, **kwargs)

    return method


class SimulatedStore:
    """The store, as one process reaches it."""

    def __init__(self, network: Network, process: Process) -> None:
        self.network = network
        self.process = process

    enqueue = _carried("enqueue")
    open_lease = _carried("open_lease")
    exchange = _carried("exchange")
    renew = _carried("renew")
    close_lease = _carried("close_lease")
    maintain = _carried("maintain")
    get = _carried("get")
    cancel = _carried("cancel")
    find = _carried("find")
    count = _carried("count")
    revive = _carried("revive")
    release_keys = _carried("release_keys")
    wait = _carried("wait")
    notify = _carried("notify")


class Reach:
    """The backend configuration of one process."""

    def __init__(self, network: Network, process: Process) -> None:
        self._network = network
        self._process = process

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[Any]:
        """Open the way to the store."""
        yield SimulatedStore(self._network, self._process)
