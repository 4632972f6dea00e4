"""A namespace whose slot is moved to another node of its cluster while jobs run."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Generator
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest
from tests.databases.program import HOST, ServerError, until
from tests.resp.matrix import make_config
from tests.resp.servers import Cluster, Server, redis6_binary, valkey_binary

from litestar_queues_core import QueueConfig, QueueService, Worker, task
from litestar_queues_core.asking import ask
from litestar_queues_core.errors import StoreUnavailable
from litestar_queues_core.testing import make_jobs
from litestar_queues_resp import RespBackendConfig

pytestmark = pytest.mark.timeout(120)
BOTH = {"valkey": valkey_binary(), "redis-6.2": redis6_binary()}


class Move:
    """The move of a namespace's slot from one node to another, step by step.

    Args:
        source: Has the slot, and all others.
        target: Another node of the cluster.
        prefix: Of the namespace.
    """

    def __init__(self, source: Server, target: Server, prefix: str) -> None:
        self.source = source
        self.target = target
        self.slot: int = source.ask("CLUSTER", "KEYSLOT", f"{{{prefix}}}")

    def begin(self) -> None:
        source, target = (node.ask("CLUSTER", "MYID") for node in (self.source, self.target))
        self.target.ask("CLUSTER", "SETSLOT", self.slot, "IMPORTING", source)
        self.source.ask("CLUSTER", "SETSLOT", self.slot, "MIGRATING", target)

    def carry(self, most: int) -> int:
        """Carry over at most so many keys; return how many that were."""
        keys = self.source.ask("CLUSTER", "GETKEYSINSLOT", self.slot, most)
        if keys:
            self.source.ask("MIGRATE", HOST, self.target.port, "", 0, 5000, "KEYS", *keys)
        return len(keys)

    def end(self) -> None:
        while self.carry(100):
            pass
        for node in (self.target, self.source):
            node.ask("CLUSTER", "SETSLOT", self.slot, "NODE", self.target.ask("CLUSTER", "MYID"))


@pytest.fixture(
    scope="module", params=["valkey", pytest.param("redis-6.2", marks=pytest.mark.service)]
)
def nodes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[tuple[Server, Server]]:
    """Two nodes of a cluster; the first one has all slots but those that were moved."""
    binary, place = BOTH[request.param], tmp_path_factory.mktemp("c")
    cluster = ("--cluster-enabled", "yes", "--cluster-announce-ip", HOST)
    with Cluster(binary, place / "a") as first, Server(binary, place / "b", *cluster) as second:
        second.ask("CLUSTER", "MEET", HOST, first.port)
        for node in (first, second):
            until(lambda node=node: knows_all(node))
        yield first, second


def knows_all(node: Server) -> bool:
    """Return whether a node knows the other one, and who has the slots."""
    told = node.ask("CLUSTER", "INFO")
    return "cluster_known_nodes:2" in told and "cluster_state:ok" in told


@pytest.fixture
def config(client: str, nodes: tuple[Server, Server]) -> RespBackendConfig:
    return make_config(client, nodes[0].url, cluster=True)


@pytest.fixture
def move(nodes: tuple[Server, Server], config: RespBackendConfig) -> Generator[Move]:
    yield Move(*nodes, config.prefix)
    for node in nodes:
        node.ask("FLUSHALL")


async def test_jobs_stand_still_while_their_keys_are_moved_and_each_runs_once(
    config: RespBackendConfig, move: Move
) -> None:
    runs = Counter[int]()
    begun, refused, first = asyncio.Event(), asyncio.Event(), range(300)

    @task(f"moving.{uuid4()}")
    async def work(number: int) -> int:
        runs[number] += 1
        if number == 20:
            begun.set()
            await refused.wait()  # its end, and that of its neighbours, meet the move
        return number

    async with AsyncExitStack() as running:
        service = await running.enter_async_context(QueueService(QueueConfig(queue_backend=config)))
        store = await running.enter_async_context(config.open())
        await running.enter_async_context(Worker(service, concurrency=10, lease=60))
        before = await service.enqueue_many([work.call(number) for number in first])
        await begun.wait()

        await asyncio.to_thread(move.begin)
        late = asyncio.create_task(service.enqueue_many([work.call(300), work.call(301)]))
        await asyncio.to_thread(move.carry, 4)
        with pytest.raises(StoreUnavailable, match="being moved"):
            await ask(store.enqueue(make_jobs(1)))
        with pytest.raises(StoreUnavailable, match="being moved"):
            await store.wait(["lane:one", "lane:other"], 10.0)
        with pytest.raises(StoreUnavailable, match="being moved"):
            await ask(store.count())
        refused.set()
        await asyncio.to_thread(move.end)

        handles = [*before, *await late]
        results = [await handle.value(30.0) for handle in handles]

    assert results == [*range(302)]
    assert set(runs.values()) == {1}
    assert move.source.ask("DBSIZE") == 0
    assert move.target.ask("DBSIZE") > 0


async def test_a_move_that_was_given_up_has_harmed_nothing(
    config: RespBackendConfig, move: Move
) -> None:
    async with config.open() as store:
        await store.enqueue(jobs := make_jobs(5))
        move.begin()
        with pytest.raises(StoreUnavailable, match="being moved"):
            await store.get([jobs[0].id])
        for node in (move.target, move.source):
            node.ask("CLUSTER", "SETSLOT", move.slot, "STABLE")

        found = await store.get([job.id for job in jobs])

    assert [job and job.id for job in found] == [job.id for job in jobs]


async def test_a_move_in_one_step(config: RespBackendConfig, move: Move) -> None:
    """As Valkey 9 has it."""
    async with config.open() as store:
        await store.enqueue(jobs := make_jobs(5))
        target = move.target.ask("CLUSTER", "MYID")
        try:
            move.source.ask(
                *("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", move.slot, move.slot, "NODE", target)
            )
        except ServerError as error:
            assert "Unknown subcommand" in str(error)  # noqa: PT017
            pytest.skip("this server has no such step")
        await asyncio.to_thread(until, lambda: move.target.ask("DBSIZE") > 0)

        async with asyncio.timeout(20.0):
            while True:
                try:
                    found = await ask(store.get([job.id for job in jobs]))
                    break
                except StoreUnavailable:
                    await asyncio.sleep(0.05)

    assert [job and job.id for job in found] == [job.id for job in jobs]
