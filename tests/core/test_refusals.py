"""A worker whose store refuses settlements, or fails in ways nobody foresaw."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.core.faulty import FaultyBackend, FaultyStore

from litestar_queues_core import QueueConfig, QueueService, Status, Worker, WorkerConfig, task
from litestar_queues_core.config import QueueEventConfig
from litestar_queues_core.context import TaskExecutionContext
from litestar_queues_core.errors import SettlementRefused, StaleExchange
from litestar_queues_core.events import InMemoryEventSink
from litestar_queues_core.settlements import Kind, Settlement
from litestar_queues_core.stores.memory import MemoryBackendConfig

SOON = 5.0


class Choosy:
    """A backend whose store refuses the settlements that *refuses* picks.

    Args:
        refuses: Tells of a settlement whether the store cannot hold it.
        names: Whether it says which; otherwise it refuses the exchange as a whole.
    """

    def __init__(self, refuses: Any, *, names: bool) -> None:
        self._refuses = refuses
        self._names = names
        self.memory = MemoryBackendConfig()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Any]:
        async with self.memory.open() as store:
            yield ChoosyStore(store, lambda *_: None, self._refuses, self._names)


class ChoosyStore(FaultyStore):
    def __init__(self, store: Any, fault: Any, refuses: Any, names: bool) -> None:
        super().__init__(store, fault)
        self._refuses = refuses
        self._names = names

    async def exchange(
        self, lease: str, seq: int, settlements: Sequence[Settlement], wants: Any
    ) -> Any:
        refused = [one.id for one in settlements if self._refuses(one)]
        if refused:
            raise SettlementRefused(refused if self._names else None, "cannot hold it")
        return await self.store.exchange(lease, seq, settlements, wants)


def _config(backend: Any, sink: InMemoryEventSink | None = None) -> QueueConfig:
    return QueueConfig(
        queue_backend=backend,
        worker=WorkerConfig(poll_interval=0.01, concurrency=10),
        event_config=QueueEventConfig(enabled=sink is not None, sink=sink),
    )


@pytest.mark.parametrize("names", [True, False])
async def test_one_result_that_cannot_be_recorded_fails_and_spoils_no_other(names: bool) -> None:
    @task("refusals.result")
    async def work(number: int) -> int:
        return number

    def refuses(settlement: Settlement) -> bool:
        return settlement.kind is Kind.COMPLETE and (settlement.value or b"").endswith(b"113")

    sink = InMemoryEventSink()
    async with QueueService(_config(Choosy(refuses, names=names), sink)) as service:
        results = await service.enqueue_many([work.call(n) for n in range(100, 120)])
        async with Worker(service):
            for result in results:
                await result.wait(SOON)

    assert [one.status for one in results].count(Status.COMPLETED) == 19
    assert results[13].status is Status.FAILED
    assert "could not record (cannot hold it)" in str(results[13].error)
    assert [e.job_id for e in sink.events if e.type == "job.failed"] == [results[13].id]


@pytest.mark.parametrize("names", [True, False])
async def test_progress_that_cannot_be_recorded_is_not_blamed_on_results(names: bool) -> None:
    @task("refusals.progress")
    async def work(number: int, _task_context: TaskExecutionContext) -> int:
        await _task_context.progress(number, 10)
        return number

    def refuses(settlement: Settlement) -> bool:
        return settlement.kind is Kind.PROGRESS

    async with QueueService(_config(Choosy(refuses, names=names))) as service:
        results = await service.enqueue_many([work.call(n) for n in range(10)])
        async with Worker(service):
            assert [await one.value(SOON) for one in results] == list(range(10))


async def test_a_job_whose_every_settlement_is_refused_stops_nobody_else() -> None:
    @task("refusals.everything")
    async def work(number: int) -> int:
        return number

    poison: list[str] = []
    choosy = Choosy(lambda one: one.id in poison, names=False)
    async with QueueService(_config(choosy)) as service:
        first = await service.enqueue(work, 0)
        poison.append(first.id)
        others = await service.enqueue_many([work.call(n) for n in range(1, 10)])
        async with Worker(service) as worker:
            assert [await one.value(SOON) for one in others] == list(range(1, 10))
            async with asyncio.timeout(SOON):
                while not worker.holdings.empty:
                    await asyncio.sleep(0.01)
            assert (await first.refresh()).status is Status.RUNNING

        assert (await first.refresh()).status is Status.PENDING, "its lease is closed"


async def test_an_unforeseen_answer_in_the_middle_loses_no_result() -> None:
    @task("refusals.unforeseen")
    async def work(number: int) -> int:
        return number

    def fault(name: str, number: int) -> Exception | None:
        unforeseen = name == "exchange" and number in (2, 3, 5)
        return StaleExchange("some lease", 1, 2) if unforeseen else None

    backend = FaultyBackend(MemoryBackendConfig(), fault)
    async with QueueService(_config(backend)) as service:
        results = await service.enqueue_many([work.call(n) for n in range(30)])
        async with Worker(service):
            assert [await one.value(SOON) for one in results] == list(range(30))

    assert len(backend.stores[0].failed) == 3
