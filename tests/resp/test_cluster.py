"""A cluster: all that belongs to a namespace lies in one slot."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from uuid import uuid4

import pytest
from tests.resp.matrix import make_config
from tests.resp.servers import Cluster, Server, redis6_binary, valkey_binary

from litestar_queues_core import QueueConfig, QueueService, Worker, task
from litestar_queues_core.asking import ask
from litestar_queues_core.errors import ConfigError, StoreUnavailable
from litestar_queues_core.protocols import BackendConfig
from litestar_queues_core.testing import BackendConformance, Claimer, make_jobs

pytestmark = pytest.mark.timeout(120)
BOTH = {"valkey": valkey_binary(), "redis-6.2": redis6_binary()}


@pytest.fixture(
    scope="module", params=["valkey", pytest.param("redis-6.2", marks=pytest.mark.service)]
)
def cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[Cluster]:
    with Cluster(BOTH[request.param], tmp_path_factory.mktemp("c")) as cluster:
        yield cluster


@pytest.fixture
def backend(client: str, cluster: Cluster) -> Generator[BackendConfig]:
    yield make_config(client, cluster.url, cluster=True)
    cluster.ask("FLUSHALL")


class TestRespBackend(BackendConformance):
    """Also with connections to a cluster."""


async def test_jobs_pass_and_their_keys_share_a_slot(
    backend: BackendConfig, cluster: Cluster
) -> None:
    @task(f"cluster.{uuid4()}")
    async def double(number: int) -> int:
        return 2 * number

    async with (
        QueueService(QueueConfig(queue_backend=backend)) as service,
        Worker(service, concurrency=5),
    ):
        handles = await service.enqueue_many([double.call(number) for number in range(20)])
        await service.enqueue(double, 0, key="once", run_after=60.0)
        results = [await handle.value(20.0) for handle in handles]

        slots = {cluster.ask("CLUSTER", "KEYSLOT", key) for key in cluster.ask("KEYS", "*")}

    assert results == [2 * number for number in range(20)]
    assert len(slots) == 1


async def test_two_namespaces_may_lie_on_two_nodes(client: str, cluster: Cluster) -> None:
    for prefix in ("first", "second"):
        async with make_config(client, cluster.url, cluster=True, prefix=prefix).open() as store:
            await store.enqueue(make_jobs(1))
            assert len(await (await Claimer(store).open()).claim(10)) == 1

    slots = {cluster.ask("CLUSTER", "KEYSLOT", key) for key in cluster.ask("KEYS", "*")}
    cluster.ask("FLUSHALL")
    assert len(slots) == 2


async def test_a_node_that_was_killed_is_found_again(
    backend: BackendConfig, cluster: Cluster
) -> None:
    async with backend.open() as store:
        await store.enqueue(make_jobs(3))
        await asyncio.to_thread(cluster.kill)
        with pytest.raises(StoreUnavailable):
            await ask(store.enqueue(make_jobs(1)))
        await asyncio.to_thread(cluster.restart)

        async with asyncio.timeout(20.0):
            claimer = Claimer(store)
            while True:
                try:
                    await ask(claimer.open())
                    break
                except StoreUnavailable:
                    await asyncio.sleep(0.05)
        assert len(await claimer.claim(10)) == 3


async def test_a_cluster_must_be_configured_as_one(client: str, cluster: Cluster) -> None:
    with pytest.raises(ConfigError, match="cluster"):
        async with make_config(client, cluster.url).open():
            pass


async def test_what_is_no_cluster_must_not(client: str, server: Server) -> None:
    with pytest.raises(ConfigError, match="cluster"):
        async with make_config(client, server.url, cluster=True).open():
            pass
