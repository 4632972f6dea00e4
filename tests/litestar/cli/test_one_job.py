"""One job out of a line, also when the store does not say what it has done."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from litestar_queues import StoreUnavailable
from litestar_queues.cli.one_job import OneJobBackend, OneJobStore
from litestar_queues_core.ids import JobId, LeaseId, new_job_ids, new_lease_id
from litestar_queues_core.model import NewJob, Status, TaskSpec, WorkerInfo
from litestar_queues_core.settlements import NOTHING, Exchange, Kind, Settlement, Wants
from litestar_queues_core.stores.memory import MemoryBackendConfig, MemoryStore

ALL = Wants(limit=10, others=10)


class Forgetful:
    """A memory store that does what it is asked, and then fails to say so, as often as told."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.silent: list[int] = []
        self.exchanges = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    async def exchange(
        self, lease: LeaseId, seq: int, settlements: Sequence[Settlement], wants: Wants
    ) -> Exchange:
        answer = await self.store.exchange(lease, seq, settlements, wants)
        self.exchanges += 1
        if self.exchanges in self.silent:
            raise StoreUnavailable("no answer")
        return answer


IDS = new_job_ids(3)


@pytest.fixture
async def store() -> AsyncIterator[Forgetful]:
    """A store in which three jobs wait."""
    async with MemoryBackendConfig().open() as memory:
        spec = TaskSpec(task="any")
        await memory.enqueue([NewJob(id=one, spec=spec, payload=b"1{}") for one in IDS])
        yield Forgetful(memory)


@pytest.fixture
async def lease(store: Forgetful) -> LeaseId:
    lease = new_lease_id()
    await store.open_lease(lease, WorkerInfo(name="me"), seconds=30)
    return lease


async def statuses(store: Forgetful) -> list[Status]:
    return [job.status for job in await store.get(IDS) if job is not None]


def only(store: Forgetful, job_id: JobId) -> OneJobStore:
    return OneJobStore(store, job_id)


@pytest.mark.parametrize("silent", [[], [1], [2], [1, 2], [1, 3], [2, 3]])
async def test_the_others_go_back_whatever_answer_is_lost(
    store: Forgetful, lease: LeaseId, silent: list[int]
) -> None:
    one_job = only(store, IDS[1])
    store.silent = silent
    for _ in silent:
        with pytest.raises(StoreUnavailable):
            await one_job.exchange(lease, 1, [], ALL)
    answer = await one_job.exchange(lease, 1, [], ALL)

    assert [job.id for job in answer.claimed] == [IDS[1]]
    assert one_job.found
    assert not one_job.over.is_set()
    assert await statuses(store) == [Status.PENDING, Status.RUNNING, Status.PENDING]


async def test_it_claims_once_and_is_over_when_the_job_is_settled(
    store: Forgetful, lease: LeaseId
) -> None:
    one_job = only(store, IDS[0])
    (job,) = (await one_job.exchange(lease, 1, [], ALL)).claimed
    assert (await one_job.exchange(lease, 2, [], ALL)).claimed == []

    def settled(kind: Kind) -> list[Settlement]:
        return [Settlement(id=job.id, delivery=job.delivery, kind=kind, value=b"{}")]

    await one_job.exchange(lease, 3, settled(Kind.PROGRESS), NOTHING)
    assert not one_job.over.is_set()
    await one_job.exchange(lease, 4, settled(Kind.COMPLETE), NOTHING)

    assert one_job.over.is_set()
    assert await statuses(store) == [Status.COMPLETED, Status.PENDING, Status.PENDING]


async def test_it_is_over_at_once_if_the_job_is_not_there(store: Forgetful, lease: LeaseId) -> None:
    await store.cancel([IDS[2]], running=False)
    one_job = only(store, IDS[2])

    answer = await one_job.exchange(lease, 1, [], ALL)

    assert not answer.claimed
    assert not one_job.found
    assert one_job.over.is_set()
    assert await statuses(store) == [Status.PENDING, Status.PENDING, Status.CANCELLED]


async def test_it_is_over_when_the_lease_is_lost(store: Forgetful, lease: LeaseId) -> None:
    one_job = only(store, IDS[0])
    await one_job.exchange(lease, 1, [], ALL)
    await store.close_lease(lease)

    renewal = await one_job.renew(lease, seconds=30)

    assert not renewal.alive
    assert one_job.over.is_set()


async def test_a_backend_opens_a_store_for_one_job() -> None:
    backend = OneJobBackend(MemoryBackendConfig(), IDS[0])
    async with backend.open() as store:
        assert store is backend.store
