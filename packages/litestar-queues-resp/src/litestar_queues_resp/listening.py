"""Waiting for topics on a connection of its own.

The server keeps a marker for each topic that was raised.  One process takes it; if that leaves work
behind, it raises the topic again.  A process that has no room for work does not listen for any, or
passes on what it has heard.  The ends of jobs are told to an inbox of this process.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any

from litestar_queues_core.errors import QueueError, StoreUnavailable
from litestar_queues_resp.calling import Caller
from litestar_queues_resp.layout import raw_id, text_id

LONGEST = 5.0
"""Seconds for which one call blocks; after that the topics may be others."""

PASSED_ON = 0.1
"""Whoever has heard of work and has not looked for it within so many seconds has no room for it."""

DEAF = 0.5
"""So many seconds whoever has no room leaves news to others; twice as many the next time."""

LAST_WORDS = 1.0
"""Seconds that closing a store may take to tell others what it will not hear any more."""

JOB, LANE = "job:", "lane:"


class Listener:
    """Whoever waits in this process, and the one call to the server that waits for all of them.

    Args:
        caller: Runs the scripts.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._loop = asyncio.get_running_loop()
        self._inbox = secrets.token_hex(8)
        self._waiting: dict[str, set[asyncio.Future[bool]]] = {}
        self._blocked: frozenset[str] | None = None
        self._task: asyncio.Task[None] | None = None
        self._changes: set[asyncio.Task[None]] = set()
        self._watching = asyncio.Lock()
        self._owed: dict[str, asyncio.TimerHandle] = {}
        self._deaf_for = DEAF
        self._deaf_until = 0.0
        self._stopped = False

    async def wait(self, topics: Collection[str], timeout: float) -> bool:
        """Rest until one of *topics* is raised (true) or the time is over (false).

        Raises:
            StoreUnavailable: The connection was lost; a signal may have been, too.
        """
        future: asyncio.Future[bool] = self._loop.create_future()
        for topic in topics:
            self._waiting.setdefault(topic, set()).add(future)
        timer = self._loop.call_later(timeout, _resolve, future)
        jobs = _raw_ids(topics)
        try:
            if topics:
                self._listen()
            if jobs:
                await self._watch(jobs, future)
            return await future
        finally:
            timer.cancel()
            if future.done() and not future.cancelled():
                future.exception()  # it may have failed while the jobs were not watched yet
            self._leave(future, topics)
            if jobs and not self._stopped:
                self._do(self._unwatch(jobs))

    def looks(self) -> None:
        """Somebody here looks for work."""
        for timer in self._owed.values():
            timer.cancel()
        self._owed.clear()

    def found(self, *, room: bool) -> None:
        """Somebody here has looked for work, and has *room* for more, or not."""
        was_deaf = self._is_deaf()
        if room:
            self._deaf_for, self._deaf_until = DEAF, 0.0
        else:
            self._deaf_until = self._loop.time() + DEAF
        if was_deaf == room and self._blocked is not None:
            self._reconsider()

    async def stop(self) -> None:
        """Stop listening; those who still wait are told that the store is closed."""
        self._stopped = True
        self.looks()
        lanes = [topic for topic in self._blocked or () if topic.startswith(LANE)]
        tasks = [task for task in (self._task, *self._changes) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._fail(StoreUnavailable("this store has been closed"))
        if lanes:
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS):
                    await self._try(("notify", *lanes))

    async def _watch(self, jobs: list[bytes], future: asyncio.Future[bool]) -> None:
        async with self._watching:
            ended = await self._caller.run("watch", self._inbox, b"".join(jobs))
        if ended and not future.done():
            future.set_result(True)

    async def _unwatch(self, jobs: list[bytes]) -> None:
        async with self._watching:  # somebody may wait for the same job again by then
            left = [raw for raw in jobs if f"{JOB}{text_id(raw)}" not in self._waiting]
            if left:
                await self._try(("unwatch", self._inbox, b"".join(left)))

    def _do(self, change: Any) -> None:
        """Do something for whose end nobody waits."""
        task = asyncio.create_task(change)
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)

    async def _try(self, *calls: Sequence[str | bytes]) -> None:
        with suppress(QueueError):  # a hint that is lost costs time, and no more
            for name, *words in calls:
                await self._caller.run(str(name), *words)

    def _listen(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        elif self._blocked is not None and not self._topics() <= self._blocked:
            self._reconsider()

    def _reconsider(self) -> None:
        """Let the call that blocks end, so that the next one waits for what is wanted now."""
        self._blocked = None
        self._do(self._try(("poke", self._inbox)))

    def _is_deaf(self) -> bool:
        return self._loop.time() < self._deaf_until

    def _topics(self) -> set[str]:
        unheard = (JOB, LANE) if self._is_deaf() else (JOB,)
        return {topic for topic in self._waiting if not topic.startswith(unheard)}

    async def _run(self) -> None:
        while self._waiting:
            self._blocked = topics = frozenset(self._topics())
            try:
                taken = await self._take(topics)
            except QueueError as error:
                self._fail(error)
                return
            finally:
                self._blocked = None
            if taken is not None:
                self._heard(taken)
            for _ in range(3):  # whoever was woken may wait again at once
                await asyncio.sleep(0)

    async def _take(self, topics: Collection[str]) -> str | None:
        """Return the topic that was raised first; ``None`` if none was for some seconds."""
        key = self._caller.key
        inbox = f"{key}:b:{self._inbox}"
        keys = [inbox, *(f"{key}:w:{topic}" for topic in topics)]
        deaf = self._deaf_until - self._loop.time()
        longest = min(LONGEST, deaf + 0.001) if deaf > 0 else LONGEST
        answer: Any = await self._caller.client.block(
            "BZPOPMIN", *keys, f"{longest:.3f}", seconds=longest
        )
        if not answer or not answer[1]:
            return None
        if answer[0] == inbox.encode():
            return f"{JOB}{text_id(answer[1])}"
        return str(answer[1], "utf-8")

    def _heard(self, topic: str) -> None:
        woken = self._wake(topic)
        if not topic.startswith(LANE):
            return
        if not woken:  # whoever waited here has left: it is for others
            self._do(self._try(("notify", topic)))
        elif topic not in self._owed:
            self._owed[topic] = self._loop.call_later(PASSED_ON, self._pass_on, topic)

    def _pass_on(self, topic: str) -> None:
        """Nobody here has looked for work: let others."""
        del self._owed[topic]
        self._deaf_until = self._loop.time() + self._deaf_for
        self._deaf_for = min(2 * self._deaf_for, LONGEST)
        self._blocked = None
        self._do(self._try(("poke", self._inbox), ("notify", topic)))

    def _wake(self, topic: str) -> bool:
        futures = self._waiting.pop(topic, set())
        for future in futures:
            if not future.done():
                future.set_result(True)
        return bool(futures)

    def _fail(self, error: QueueError) -> None:
        for futures in self._waiting.values():
            for future in futures:
                if not future.done():
                    future.set_exception(error)
        self._waiting.clear()

    def _leave(self, future: asyncio.Future[bool], topics: Collection[str]) -> None:
        for topic in topics:
            futures = self._waiting.get(topic)
            if futures is not None:
                futures.discard(future)
                if not futures:
                    del self._waiting[topic]


def _resolve(future: asyncio.Future[bool]) -> None:
    if not future.done():
        future.set_result(False)


def _raw_ids(topics: Collection[str]) -> list[bytes]:
    raw: list[bytes] = []
    for topic in topics:
        if topic.startswith(JOB):
            with suppress(ValueError):
                raw.append(raw_id(topic.removeprefix(JOB)))
    return raw
