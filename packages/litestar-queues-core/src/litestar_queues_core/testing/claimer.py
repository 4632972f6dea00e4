"""A worker as its store sees it: a lease and numbered exchanges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar_queues_core.ids import LeaseId, new_lease_id
from litestar_queues_core.model import Job, WorkerInfo
from litestar_queues_core.protocols import Store
from litestar_queues_core.settlements import NOTHING, Exchange, Kind, Settlement, Wants
from litestar_queues_core.testing.jobs import settled


class Claimer:
    """The holder of a lease, played by a test.

    Args:
        store: Where it claims and settles.
        name: Name of the worker it pretends to be.
    """

    def __init__(self, store: Store, name: str = "tester") -> None:
        self.store: Store = store
        self.worker: WorkerInfo = WorkerInfo(name=name)
        self.lease: LeaseId = new_lease_id()
        self.seq: int = 0

    async def open(self, *, seconds: float = 600.0) -> Claimer:
        """Open the lease, or open it again."""
        await self.store.open_lease(self.lease, self.worker, seconds=seconds)
        return self

    async def exchange(
        self, settlements: Sequence[Settlement] = (), wants: Wants = NOTHING
    ) -> Exchange:
        """Do a new exchange."""
        self.seq += 1
        return await self.store.exchange(self.lease, self.seq, settlements, wants)

    async def replay(
        self, settlements: Sequence[Settlement] = (), wants: Wants = NOTHING
    ) -> Exchange:
        """Send the last exchange again."""
        return await self.store.exchange(self.lease, self.seq, settlements, wants)

    async def claim(
        self,
        limit: int = 10,
        *,
        lanes: Sequence[tuple[str, int]] = (),
        others: int | None = None,
        executors: frozenset[str] = frozenset(),
        suspects: int = 0,
    ) -> Sequence[Job]:
        """Claim at most *limit* jobs; from any lane, unless *others* says otherwise."""
        wants = Wants(
            limit=limit,
            lanes=lanes,
            others=limit if others is None else others,
            executors=executors,
            suspects=suspects,
        )
        return (await self.exchange(wants=wants)).claimed

    async def claim_one(self, **wants: Any) -> Job:
        """Claim the one job that waits."""
        (job,) = await self.claim(1, **wants)
        return job

    async def settle(self, job: Job, kind: Kind, **fields: Any) -> Exchange:
        """Settle one held job and claim nothing."""
        return await self.exchange([settled(job, kind, **fields)])
