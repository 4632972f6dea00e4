"""PgQueuer."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from peers.counting import URL, done


@asynccontextmanager
async def main() -> AsyncIterator[PgQueuer]:
    """Return what its command runs."""
    connection = await asyncpg.connect(URL)
    queue = PgQueuer.from_asyncpg_connection(connection)

    @queue.entrypoint("noop")
    async def noop(job: Job) -> None:
        done(int(job.payload or b""))

    yield queue


def prepare() -> None:
    """Make the tables, and set them up for vacuum as its page on performance says."""
    for step in ("install", "autovac"):
        command = ["pgq", "--pg-dsn", URL, step]
        subprocess.run(command, check=True, capture_output=True, timeout=60)


async def enqueue(jobs: int) -> None:
    """Enqueue in bulk."""
    connection = await asyncpg.connect(URL)
    payloads = [str(number).encode() for number in range(jobs)]
    await Queries(AsyncpgDriver(connection)).enqueue(["noop"] * jobs, payloads, [0] * jobs)
    await connection.close()
