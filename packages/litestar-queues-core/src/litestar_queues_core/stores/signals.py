"""Waking those who wait in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable

ANY_LANE = "lane:*"


class Signals:
    """Topics, and who waits for them.  Used from one event loop, without a lock.

    Attributes:
        waiting: By topic, whoever came first before the others; empty if nobody waits.
    """

    __slots__ = ("waiting",)

    def __init__(self) -> None:
        self.waiting: dict[str, dict[asyncio.Future[bool], None]] = {}

    async def wait(self, topics: Collection[str], timeout: float) -> bool:
        """Rest until one of *topics* is raised (true) or the time is over (false).

        Whoever calls this is registered before anything else can happen.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()
        for topic in topics:
            self.waiting.setdefault(topic, {})[future] = None
        timer = loop.call_later(timeout, _resolve, future, False)
        try:
            return await future
        finally:
            timer.cancel()
            self._forget(future, topics)

    def raise_lane(self, lane: str) -> None:
        """Wake those who wait for work in *lane*, or in any."""
        self._wake(f"lane:{lane}")
        self._wake(ANY_LANE)

    def raise_all(self, topics: Iterable[str]) -> None:
        """Wake those who wait for one of *topics*."""
        for topic in topics:
            self._wake(topic)
            if topic.startswith("lane:"):
                self._wake(ANY_LANE)

    def _wake(self, topic: str) -> None:
        for future in self.waiting.pop(topic, ()):
            _resolve(future, True)

    def _forget(self, future: asyncio.Future[bool], topics: Iterable[str]) -> None:
        for topic in topics:
            futures = self.waiting.get(topic)
            if futures is not None:
                futures.pop(future, None)
                if not futures:
                    del self.waiting[topic]


def _resolve(future: asyncio.Future[bool], woken: bool) -> None:
    if not future.done():
        future.set_result(woken)
