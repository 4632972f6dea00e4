"""Targets whose stores break a promise; the chaos runner must notice."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from litestar_queues_core.model import NewJob, Status
from litestar_queues_core.settlements import Enqueued, Maintenance, MaintenancePolicy
from litestar_queues_sql import SQLiteBackendConfig, SQLiteStore


class LosesJobs(SQLiteStore):
    """Acknowledges every job, and forgets one of eight."""

    async def enqueue(self, jobs: Sequence[NewJob]) -> Sequence[Enqueued]:
        kept = [job for job in jobs if job.id[-1] not in "07"]
        answers = {answer.id: answer for answer in await super().enqueue(kept)}
        return [answers.get(job.id) or Enqueued(id=job.id, status=Status.PENDING) for job in jobs]


class RescuesLiveLeases(SQLiteStore):
    """Rescues what is held under leases that have seconds to live."""

    async def maintain(self, policy: MaintenancePolicy) -> Maintenance:
        self.shift_clock(10_000)
        try:
            return await super().maintain(policy)
        finally:
            self.shift_clock(-10_000)


@dataclass
class Config:
    kind: type[SQLiteStore]
    path: Path

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[SQLiteStore]:
        async with SQLiteBackendConfig(path=self.path).open() as store:
            yield self.kind(store._sqlite)


class Losing:
    kind: type[SQLiteStore] = LosesJobs

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace

    def config(self, data: str) -> Config:
        return Config(self.kind, self._workspace / f"{data}.db")


class Rescuing(Losing):
    kind = RescuesLiveLeases


@dataclass
class EndlessConfig(Config):
    """Does not let go of producers."""

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[SQLiteStore]:
        async with Config.open(self) as store:
            yield store
            if Path(sys.argv[0]).stem == "producer":
                await asyncio.Event().wait()


class Endless(Losing):
    kind = SQLiteStore

    def config(self, data: str) -> Config:
        made = super().config(data)
        return EndlessConfig(made.kind, made.path)
