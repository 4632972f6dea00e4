"""However silent a store is, a caller knows within 30 seconds, and nothing is enqueued twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.core.faulty import FaultyStore

from litestar_queues_core import EnqueueUnknown, QueueConfig, QueueService, task
from litestar_queues_core.asking import Enqueuer
from litestar_queues_core.settlements import Enqueued
from litestar_queues_core.stores.memory.store import MemoryStore
from litestar_queues_core.testing.jobs import make_jobs
from litestar_queues_core.testing.simulation.loop import VirtualLoop

Silence = Callable[[str, int], bool]


class SilentStore(FaultyStore):
    """Passes calls on, and never answers those that *silent* picks, though it obeys them."""

    def __init__(self, silent: Silence) -> None:
        super().__init__(MemoryStore(), lambda _name, _number: None)
        self.silent = silent

    async def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        answer = await super().call(name, *args, **kwargs)
        if self.silent(name, self.calls[name]):
            await asyncio.Event().wait()
        return answer


class SilentBackend:
    """Opens a store that is silent."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Any]:
        yield SilentStore(lambda name, _: name in {"enqueue", "get"})


def in_virtual_time(story: Callable[[], Awaitable[None]]) -> float:
    """Run *story* and return how long it took, which costs no time."""
    loop = VirtualLoop()
    try:
        loop.run_until_complete(story())
        return loop.time()
    finally:
        loop.close()


@pytest.mark.parametrize("patience", [1.0, 5.0, 30.0, 45.0])
def test_a_silent_store_is_given_up_in_time(patience: float) -> None:
    store = SilentStore(lambda _name, _number: True)
    jobs = make_jobs(3)
    answers: list[Enqueued] = []

    async def story() -> None:
        answers.extend(await Enqueuer(store, patience=patience).enqueue(jobs))

    took = in_virtual_time(story)

    assert took == pytest.approx(patience, abs=0.1)
    assert [one.id for one in answers] == [job.id for job in jobs]
    for answer, job in zip(answers, jobs, strict=True):
        assert isinstance(answer.error, EnqueueUnknown)
        assert answer.error.id == job.id
        assert "the store did not answer within" in str(answer.error)


def test_a_store_that_fails_at_once_is_given_up_in_time_too() -> None:
    store = FaultyStore(MemoryStore(), lambda _name, _number: "before")
    answers: list[Enqueued] = []

    async def story() -> None:
        answers.extend(await Enqueuer(store).enqueue(make_jobs(1)))

    assert in_virtual_time(story) == pytest.approx(30.0, abs=0.1)
    assert isinstance(answers[0].error, EnqueueUnknown)


def test_a_store_that_took_the_jobs_before_it_fell_silent_is_believed() -> None:
    store = SilentStore(lambda name, _: name == "enqueue")
    jobs = make_jobs(3)
    answers: list[Enqueued] = []

    async def story() -> None:
        answers.extend(await Enqueuer(store).enqueue(jobs))

    assert in_virtual_time(story) == pytest.approx(10.0, abs=0.1)
    assert [(one.id, one.created, one.error) for one in answers] == [
        (job.id, True, None) for job in jobs
    ]
    assert store.calls == {"enqueue": 1, "get": 1}


def test_a_store_that_comes_back_at_the_last_moment_takes_the_jobs() -> None:
    """The first call is lost, then it is silent for almost all the time that is left."""
    store = SilentStore(lambda name, number: name == "get" and number <= 2)
    store.fault = lambda name, number: "before" if (name, number) == ("enqueue", 1) else None
    answers: list[Enqueued] = []

    async def story() -> None:
        answers.extend(await Enqueuer(store).enqueue(make_jobs(2)))

    assert 20 < in_virtual_time(story) < 30
    assert [one.error for one in answers] == [None, None]
    assert store.calls["enqueue"] == 2


def test_a_caller_is_told_the_id_to_ask_for() -> None:
    @task
    async def send() -> None: ...

    async def story() -> None:
        config = QueueConfig(queue_backend=SilentBackend(), coalesce=False)
        async with QueueService(config) as service:
            with pytest.raises(
                EnqueueUnknown, match="StoreUnavailable: the store did not answer"
            ) as caught:
                await service.enqueue(send)
            store: Any = service.store
            assert [job.id for job in await store.store.get([caught.value.id])]

    assert in_virtual_time(story) == pytest.approx(30.0, abs=0.1)
