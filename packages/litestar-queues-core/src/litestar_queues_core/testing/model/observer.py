"""The eyes of the driver: a lease that holds nothing and reads the store's clock."""

from __future__ import annotations

from litestar_queues_core.errors import LeaseLost
from litestar_queues_core.ids import new_lease_id
from litestar_queues_core.model import WorkerInfo
from litestar_queues_core.protocols import Store
from litestar_queues_core.settlements import NOTHING
from litestar_queues_core.testing.model.disagreement import Mismatch

LONG = 1e8


class Observer:
    """Asks for the time with exchanges that settle and claim nothing, and so change nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lease = new_lease_id()
        self._seq = 0

    async def open(self) -> None:
        """Open the lease for longer than any script lasts."""
        await self._store.open_lease(self._lease, WorkerInfo(name="observer"), seconds=LONG)

    async def now_ms(self) -> int:
        """Return the store's clock."""
        self._seq += 1
        try:
            answer = await self._store.exchange(self._lease, self._seq, (), NOTHING)
        except LeaseLost:
            raise Mismatch(
                "no live lease is taken for dead",
                allowed=f"the observer's lease, opened for {LONG:.0f} s, is alive",
                answered="it is lost",
            ) from None
        return answer.now_ms
