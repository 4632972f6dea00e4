"""A file in which others write, too."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

from litestar_queues_core.testing import make_jobs
from litestar_queues_sql.sqlite import SQLiteBackendConfig


async def test_who_writes_among_others_meets_the_gaps_between_them(tmp_path: Path) -> None:
    path, over = tmp_path / "queue.db", threading.Event()

    def others() -> None:
        with closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as raw:
            while not over.is_set():
                raw.execute("BEGIN IMMEDIATE")
                over.wait(0.03)
                raw.execute("ROLLBACK")
                over.wait(0.001)

    async with SQLiteBackendConfig(path=path).open() as store:
        threads = [threading.Thread(target=others) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(30):  # one that misses the gaps for five seconds fails
                assert [one.error for one in await store.enqueue(make_jobs(1))] == [None]
        finally:
            over.set()
            for thread in threads:
                await asyncio.to_thread(thread.join)
