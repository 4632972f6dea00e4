"""What the modules of all queues share: the server, how many jobs, and when those were done."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

URL = os.environ["PEERS_URL"]
JOBS = int(os.environ["PEERS_JOBS"])
REPORT = Path(os.environ["PEERS_REPORT"])
CONCURRENCY = int(os.environ["PEERS_CONCURRENCY"])
PRODUCERS = 50

_seen: set[int] = set()
_began = 0.0
_lock = threading.Lock()


def done(number: int) -> None:
    """Note that a job is done; after the last one, write the seconds since the first.

    A job that is run twice is counted once.
    """
    global _began  # noqa: PLW0603  (a counter of the process, as cheap as can be)
    with _lock:
        if not _seen:
            _began = time.perf_counter()
        _seen.add(number)
        if len(_seen) == JOBS:
            whole = REPORT.with_suffix(".part")
            whole.write_text(str(time.perf_counter() - _began))
            whole.rename(REPORT)


async def one_by_one(jobs: int, enqueue: Callable[[int], Awaitable[Any]]) -> None:
    """Enqueue from 50 coroutines at the same time, for queues that cannot do it in bulk."""
    numbers = iter(range(jobs))

    async def produce() -> None:
        for number in numbers:
            await enqueue(number)

    await asyncio.gather(*(produce() for _ in range(PRODUCERS)))
