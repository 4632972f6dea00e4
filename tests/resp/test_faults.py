"""What a server and its network do to a store that is open."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import pytest
from tests.databases.program import ServerError, free_port
from tests.resp.matrix import make_config
from tests.resp.servers import Server

from litestar_queues_core.asking import ask, insist
from litestar_queues_core.errors import QueueError, StoreUnavailable
from litestar_queues_core.ids import JobId, new_lease_id
from litestar_queues_core.model import Status, WorkerInfo
from litestar_queues_core.protocols import BackendConfig, Store, SupportsKeeper, SupportsSignals
from litestar_queues_core.settlements import NOTHING, Kind, MaintenancePolicy, Wants
from litestar_queues_core.testing import Claimer, make_job, make_jobs, settled
from litestar_queues_core.testing.chaos.proxy import Proxy
from litestar_queues_resp import connecting

pytestmark = pytest.mark.timeout(120)
SOON = 15.0

Call = Callable[[], Awaitable[Any]]


@pytest.fixture
def backend(client: str, own: Server) -> BackendConfig:
    return make_config(client, own.url)


@pytest.fixture
async def store(backend: BackendConfig) -> AsyncGenerator[Store]:
    async with backend.open() as store:
        yield store


async def in_thread(call: Callable[..., Any], *args: Any) -> Any:
    return await asyncio.to_thread(call, *args)


async def statuses(store: Store, ids: list[JobId]) -> list[Status | None]:
    jobs = await insist(lambda: store.get(ids), what="get")
    return [job and job.status for job in jobs]


async def answered(call: Call) -> Any:
    """Call until the store is there again."""
    async with asyncio.timeout(SOON):
        while True:
            try:
                return await ask(call())
            except StoreUnavailable:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def again_and_again(
    server: Server, *words: object, every: float
) -> AsyncGenerator[list[Any]]:
    """Send the server a command all the time; gives the list of its answers."""
    answers: list[Any] = []

    async def send() -> None:
        while True:
            answers.append(await in_thread(server.ask, *words))
            await asyncio.sleep(every)

    task = asyncio.create_task(send())
    try:
        yield answers
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def pass_through(
    store: Store, count: int, do: Callable[[Call], Awaitable[Any]]
) -> list[JobId]:
    """Let so many jobs pass through the store, one after another; *do* does each call."""
    lease, numbers = new_lease_id(), itertools.count(1)
    one = Wants(limit=1, others=1)
    jobs = make_jobs(count)
    await do(partial(store.open_lease, lease, WorkerInfo(name="tester"), seconds=600))
    for job in jobs:
        await do(partial(store.enqueue, [job]))
        taken = await do(partial(store.exchange, lease, next(numbers), [], one))
        await do(partial(store.renew, lease, seconds=600))
        await do(partial(store.maintain, MaintenancePolicy()))
        ended = [settled(held, Kind.COMPLETE) for held in taken.claimed]
        await do(partial(store.exchange, lease, next(numbers), ended, NOTHING))
    return [job.id for job in jobs]


async def once(call: Call) -> Any:
    return await call()


async def test_a_script_that_is_forgotten_is_sent_again_and_nobody_notices(
    store: Store, own: Server
) -> None:
    async with again_and_again(own, "SCRIPT", "FLUSH", every=0.002) as flushes:
        ids = await pass_through(store, 100, once)

    assert len(flushes) > 5
    assert set(await statuses(store, ids)) == {Status.COMPLETED}


async def test_the_keeper_too_sends_a_forgotten_script_again(store: Store, own: Server) -> None:
    claimer = await Claimer(store).open(seconds=5)
    assert isinstance(store, SupportsKeeper)

    def renew_twice() -> list[Any]:
        with store.keeper() as keeper:
            first = keeper.renew(claimer.lease, seconds=5)
            own.ask("SCRIPT", "FLUSH")
            return [first, keeper.renew(claimer.lease, seconds=5)]

    assert len(await in_thread(renew_twice)) == 2


async def test_connections_that_are_killed_lose_nothing_and_do_nothing_twice(
    store: Store, own: Server
) -> None:
    async with again_and_again(own, "CLIENT", "KILL", "TYPE", "normal", every=0.05) as kills:
        ids = await pass_through(store, 50, answered)

    assert sum(kills) > 0
    assert set(await statuses(store, ids)) == {Status.COMPLETED}
    (job,) = await store.get(ids[:1])
    assert job is not None
    assert job.delivery == 1


async def test_a_server_that_was_killed_and_started_again_is_found_again(
    store: Store, own: Server
) -> None:
    claimer = await Claimer(store).open()
    jobs = make_jobs(10)
    await store.enqueue(jobs)
    held = await claimer.claim(4)
    await in_thread(own.kill)
    with pytest.raises(StoreUnavailable):
        await ask(store.enqueue(make_jobs(1)))
    await in_thread(own.restart)

    again = await answered(claimer.replay)

    assert {job.id for job in again.claimed} == {job.id for job in held}
    assert len(await claimer.claim(100)) == 6


async def test_a_wait_is_over_when_the_server_dies_and_wakes_again_after_its_return(
    store: Store, own: Server
) -> None:
    assert isinstance(store, SupportsSignals)
    wait = asyncio.create_task(store.wait({"lane:default"}, 30.0))
    await asyncio.sleep(0)
    await in_thread(own.kill)
    async with asyncio.timeout(SOON):
        await asyncio.gather(wait, return_exceptions=True)
    await in_thread(own.restart)
    await answered(lambda: store.get([]))

    async with asyncio.timeout(SOON), asyncio.TaskGroup() as group:
        wait = group.create_task(woken(store))
        while not wait.done():  # a signal may be lost, not all of them
            await answered(lambda: store.enqueue([make_job()]))
            await asyncio.sleep(0.1)


async def woken(store: Store) -> None:
    assert isinstance(store, SupportsSignals)
    while True:
        try:
            if await store.wait({"lane:default"}, 5.0):
                return
        except StoreUnavailable:
            await asyncio.sleep(0.05)


async def test_a_server_that_still_loads_is_not_there_yet(store: Store, own: Server) -> None:
    own.ask("EVAL", "for i = 1, 6000 do redis.call('SET', 'other' .. i, i) end", 0)
    jobs = make_jobs(3)
    await store.enqueue(jobs)
    await in_thread(own.kill)
    starting = asyncio.create_task(in_thread(own.restart, "--key-load-delay", "300"))
    heard: list[str] = []

    while not starting.done():
        try:
            await ask(store.enqueue(make_jobs(1)))
        except StoreUnavailable as error:
            heard.append(str(error))
        await asyncio.sleep(0.02)
    await starting

    assert any("load" in one.lower() for one in heard), heard[-3:]
    await answered(lambda: store.enqueue(make_jobs(1)))
    assert set(await statuses(store, [job.id for job in jobs])) == {Status.PENDING}


async def test_a_server_that_became_a_replica_says_so_and_loses_nothing(
    store: Store, own: Server, backend: BackendConfig
) -> None:
    claimer = await Claimer(store).open()
    await store.enqueue(make_jobs(3))
    own.ask("REPLICAOF", "127.0.0.1", free_port())  # nobody is there: it keeps what it has

    with pytest.raises(StoreUnavailable, match=r"(?i)read.?only|replica"):
        await ask(store.enqueue(make_jobs(1)))
    with pytest.raises(QueueError, match=r"(?i)replica"):
        async with backend.open():
            pass

    own.ask("REPLICAOF", "NO", "ONE")
    assert len(await answered(lambda: claimer.claim(10))) == 3


async def test_a_server_without_memory_takes_no_job_but_lets_those_it_has_end(
    store: Store, own: Server
) -> None:
    claimer = await Claimer(store).open()
    jobs = make_jobs(4)
    await store.enqueue(jobs)
    first, second, third = await claimer.claim(3)
    own.ask("CONFIG", "SET", "maxmemory", "1")

    with pytest.raises(QueueError, match=r"(?i)memory"):
        await ask(store.enqueue(make_jobs(1)))
    await ask(claimer.settle(first, Kind.COMPLETE, value=b"42"))
    await ask(claimer.settle(second, Kind.FAIL))
    await ask(store.renew(claimer.lease, seconds=600))

    own.ask("CONFIG", "SET", "maxmemory", "0")
    assert await statuses(store, [job.id for job in (first, second, third)]) == [
        *(Status.COMPLETED, Status.FAILED, Status.RUNNING)
    ]
    (left,) = await claimer.claim(10)
    assert left.id == jobs[3].id


async def test_a_script_that_takes_long_elsewhere_delays_us_and_no_more(
    store: Store, own: Server
) -> None:
    own.ask("CONFIG", "SET", "lua-time-limit", "50")
    endless = asyncio.create_task(in_thread(forever, own))
    refused: list[str] = []
    async with asyncio.timeout(SOON):
        while not refused:
            try:
                await ask(store.enqueue(make_jobs(1)), deadline=2.0)
            except StoreUnavailable as error:
                refused.append(str(error))

    own.ask("SCRIPT", "KILL")
    assert await endless == "killed"
    await answered(lambda: store.enqueue(make_jobs(1)))


def forever(server: Server) -> str:
    try:
        server.ask("EVAL", "while true do end", 0)
    except ServerError:
        return "killed"
    return "over"


@pytest.fixture
async def proxied(client: str, own: Server) -> AsyncGenerator[tuple[Proxy, Store]]:
    async with AsyncExitStack() as open_:
        proxy = await open_.enter_async_context(Proxy("127.0.0.1", own.port))
        url = f"redis://127.0.0.1:{proxy.address[1]}/0"
        yield proxy, await open_.enter_async_context(make_config(client, url).open())


async def test_an_answer_that_is_lost_is_not_acted_upon_twice(
    proxied: tuple[Proxy, Store],
) -> None:
    proxy, store = proxied
    claimer = await Claimer(store).open()
    await store.enqueue(make_jobs(5))
    with proxy.dropping(), pytest.raises(StoreUnavailable):
        await ask(claimer.claim(2))

    again = await answered(claimer.replay)

    assert [job.delivery for job in again.claimed] in ([1, 1], [])
    jobs = await claimer.claim(10)
    assert [job.delivery for job in jobs] == [1] * (5 - len(again.claimed))


async def test_a_silent_connection_is_given_up_within_the_deadline(
    proxied: tuple[Proxy, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert connecting.CALL_SECONDS == 10.0
    monkeypatch.setattr(connecting, "CALL_SECONDS", 1.0)
    proxy, store = proxied
    await store.enqueue(make_jobs(1))
    began = asyncio.get_running_loop().time()
    with proxy.hole(), pytest.raises(StoreUnavailable):
        await ask(store.enqueue(make_jobs(1)), deadline=20.0)

    assert asyncio.get_running_loop().time() - began < 3.0
    await answered(lambda: store.enqueue(make_jobs(1)))


async def test_the_network_may_be_slow(proxied: tuple[Proxy, Store]) -> None:
    proxy, store = proxied
    proxy.latency = 0.05

    ids = await pass_through(store, 3, once)

    assert set(await statuses(store, ids)) == {Status.COMPLETED}
