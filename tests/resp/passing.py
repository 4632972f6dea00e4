"""A job that passes through a store, which shows that the way to the server is open."""

from __future__ import annotations

import asyncio

from litestar_queues_core.ids import LeaseId
from litestar_queues_core.model import Status
from litestar_queues_core.protocols import BackendConfig, Store, SupportsKeeper
from litestar_queues_core.settlements import Kind
from litestar_queues_core.testing import Claimer, make_job


async def a_job_passes(backend: BackendConfig) -> None:
    """Let a job pass through the store, with a keeper beside it."""
    async with backend.open() as store:
        claimer = await Claimer(store).open()
        job = make_job()
        await store.enqueue([job])
        (held,) = await claimer.claim(1)
        assert await asyncio.to_thread(renewed, store, claimer.lease)
        await claimer.settle(held, Kind.COMPLETE)
        (found,) = await store.get([job.id])
    assert found is not None
    assert found.status is Status.COMPLETED


def renewed(store: Store, lease: LeaseId) -> bool:
    assert isinstance(store, SupportsKeeper)
    with store.keeper() as keeper:
        return keeper.renew(lease, seconds=30).alive
