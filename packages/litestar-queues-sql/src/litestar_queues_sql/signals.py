"""Who waits in this process, and what was raised while nobody did."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Iterable
from typing import TypeVar

T = TypeVar("T")

ANY_LANE = "lane:*"
_KEPT = 10_000


class Signals:
    """Topics and those who wait for them.  Used from one event loop.

    Between a look for work and the wait that follows it, a topic may be raised.  So each raise has
    a number, and a wait ends at once if one of its topics has been raised since those who wait for
    the same topics were last told.  The end of a job needs no such memory: it can be looked up.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[str, set[asyncio.Future[bool]]] = {}
        self._number = 0
        self._raised: OrderedDict[str, int] = OrderedDict()
        self._told: OrderedDict[frozenset[str], int] = OrderedDict()

    def waiting_for(self, beginning: str) -> list[str]:
        """Return the topics that begin so and that somebody waits for."""
        return [topic for topic in self._waiting if topic.startswith(beginning)]

    async def wait(self, topics: Collection[str], timeout: float) -> bool:
        """Rest until one of *topics* is raised (true) or the time is over (false)."""
        wanted = frozenset(topic for topic in topics if not topic.startswith("job:"))
        told = self._told.get(wanted, 0)
        woken = any(self._raised.get(topic, 0) > told for topic in wanted)
        if not woken:
            woken = await self._rest(topics, timeout)
        if wanted:
            _note(self._told, wanted, self._number)
        return woken

    async def _rest(self, topics: Collection[str], timeout: float) -> bool:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()
        for topic in topics:
            self._waiting.setdefault(topic, set()).add(future)
        timer = loop.call_later(timeout, _resolve, future, False)
        try:
            return await future
        finally:
            timer.cancel()
            self._leave(future, topics)

    def raise_(self, topics: Iterable[str]) -> None:
        """Wake those who wait for one of *topics*."""
        for topic in topics:
            self._raise(topic)
            if topic.startswith("lane:"):
                self._raise(ANY_LANE)

    def raise_from_thread(self, topics: Collection[str]) -> None:
        """Wake those who wait for one of *topics*, from any thread."""
        try:
            self._loop.call_soon_threadsafe(self.raise_, topics)
        except RuntimeError:  # the loop has been closed, and nobody waits any more
            return

    def raise_everything(self) -> None:
        """Wake all who wait: anything may have been raised."""
        self.raise_(list(self._waiting))

    def _raise(self, topic: str) -> None:
        if not topic.startswith("job:"):
            self._number += 1
            _note(self._raised, topic, self._number)
        for future in self._waiting.get(topic, ()):
            _resolve(future, True)

    def _leave(self, future: asyncio.Future[bool], topics: Iterable[str]) -> None:
        for topic in topics:
            waiting = self._waiting.get(topic)
            if waiting is not None:
                waiting.discard(future)
                if not waiting:
                    del self._waiting[topic]


def _note(notes: OrderedDict[T, int], name: T, number: int) -> None:
    notes[name] = number
    notes.move_to_end(name)
    if len(notes) > _KEPT:
        notes.popitem(last=False)


def _resolve(future: asyncio.Future[bool], woken: bool) -> None:
    if not future.done():
        future.set_result(woken)
