"""Waiting for topics on a connection of its own.

The server keeps a marker for each topic that was raised.  One process takes it; if that leaves work
behind, it raises the topic again, and if it has no room for work, it passes the topic on.  The ends
of jobs are told to an inbox of this process.
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
"""So many seconds it then leaves the news to others."""

JOB, LANE = "job:", "lane:"


class Listener:
    """Whoever waits in this process, and the one call to the server that waits for all of them.

    Args:
        caller: Runs the scripts.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._inbox = secrets.token_hex(8)
        self._waiting: dict[str, set[asyncio.Future[bool]]] = {}
        self._blocked: frozenset[str] | None = None
        self._task: asyncio.Task[None] | None = None
        self._changes: set[asyncio.Task[None]] = set()
        self._owed: asyncio.TimerHandle | None = None
        self._deaf_until = 0.0
        self._stopped = False

    async def wait(self, topics: Collection[str], timeout: float) -> bool:
        """Rest until one of *topics* is raised (true) or the time is over (false).

        Raises:
            StoreUnavailable: The connection was lost; a signal may have been, too.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()
        for topic in topics:
            self._waiting.setdefault(topic, set()).add(future)
        timer = loop.call_later(timeout, _resolve, future)
        jobs = _raw_ids(topics)
        try:
            if topics:
                self._listen()
            if jobs:
                await self._watch(jobs, future)
            return await future
        finally:
            timer.cancel()
            self._leave(future, topics)
            self._unwatch(jobs)

    def looked(self) -> None:
        """Somebody here looks for work."""
        if self._owed is not None:
            self._owed.cancel()
            self._owed = None

    async def stop(self) -> None:
        """Stop listening; those who still wait are told that the store is closed."""
        self._stopped = True
        self.looked()
        tasks = [task for task in (self._task, *self._changes) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._fail(StoreUnavailable("this store has been closed"))

    async def _watch(self, jobs: list[bytes], future: asyncio.Future[bool]) -> None:
        ended = await self._caller.run("watch", self._inbox, b"".join(jobs))
        if ended and not future.done():
            future.set_result(True)

    def _unwatch(self, jobs: list[bytes]) -> None:
        left = [raw for raw in jobs if f"{JOB}{text_id(raw)}" not in self._waiting]
        if left and not self._stopped:
            self._change(("unwatch", self._inbox, b"".join(left)))

    def _change(self, *calls: tuple[str | bytes, ...]) -> None:
        """Run scripts, one after the other, whose outcome nobody waits for."""
        task = asyncio.create_task(self._try(calls))
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)

    async def _try(self, calls: Sequence[tuple[str | bytes, ...]]) -> None:
        with suppress(QueueError):  # a hint that is lost costs time, and no more
            for name, *words in calls:
                await self._caller.run(str(name), *words)

    def _listen(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        elif self._blocked is not None and not self._topics() <= self._blocked:
            self._blocked = None
            self._change(("poke", self._inbox))

    def _topics(self) -> set[str]:
        deaf = asyncio.get_running_loop().time() < self._deaf_until
        unheard = (JOB, LANE) if deaf else (JOB,)
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
        deaf = self._deaf_until - asyncio.get_running_loop().time()
        longest = min(LONGEST, deaf) if deaf > 0 else LONGEST
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
        if woken:
            self.looked()
            loop = asyncio.get_running_loop()
            self._owed = loop.call_later(PASSED_ON, self._pass_on, topic)
        else:
            self._change(("notify", topic))  # whoever waited here has left: it is for others

    def _pass_on(self, topic: str) -> None:
        """Nobody here has looked for work: let others."""
        self._owed = None
        self._deaf_until = asyncio.get_running_loop().time() + DEAF
        self._blocked = None
        self._change(("poke", self._inbox), ("notify", topic))

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
