"""The lease of a worker process: what extends it, and what does not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from tests.core.faulty import FaultyBackend, FaultyStore

from litestar_queues_core.errors import LeaseLost, QueueError
from litestar_queues_core.ids import LeaseId, new_lease_id
from litestar_queues_core.model import WorkerInfo
from litestar_queues_core.protocols import Store
from litestar_queues_core.publishing import Publisher
from litestar_queues_core.settlements import MaintenancePolicy, Renewal
from litestar_queues_core.stores.memory import MemoryBackendConfig
from litestar_queues_core.testing import shift_clock
from litestar_queues_core.worker.announcer import Announcer
from litestar_queues_core.worker.capacity import Capacity
from litestar_queues_core.worker.fetcher import Fetcher
from litestar_queues_core.worker.holdings import Holdings
from litestar_queues_core.worker.keeper import Lease, LoopKeeper, _note
from litestar_queues_core.worker.watchdog import Watchdog

SOON = 5.0
INFO = WorkerInfo(name="w", host="h", pid=1, queues=(), version="0")


class Hearing:
    """Notes what a keeper tells."""

    def __init__(self) -> None:
        self.hinted = asyncio.Event()
        self.cancelled: list[str] = []

    def stop(self, cancelled: Sequence[str]) -> None:
        self.cancelled += cancelled

    def hint(self) -> None:
        self.hinted.set()


class LateStore(FaultyStore):
    """Keeps the answers of two methods back until they are let go, once it is told to be late."""

    def __init__(self, store: Store) -> None:
        super().__init__(store, lambda name, number: None)
        self.late = False
        self.done = {"renew": asyncio.Event(), "open_lease": asyncio.Event()}
        self.let_go = {"renew": asyncio.Event(), "open_lease": asyncio.Event()}

    async def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        answer = await super().call(name, *args, **kwargs)
        if self.late and name in self.let_go:
            self.done[name].set()
            await self.let_go[name].wait()
        return answer


def fetcher_of(store: Any, lease: Lease) -> Fetcher:
    return Fetcher(
        store,
        lease,
        Holdings(),
        Capacity(concurrency=1, queues=(), limits={}, executors=frozenset()),
        Announcer(Publisher(()), worker=INFO.name, history=False),
        start=lambda: None,
        rests=(1.0, 1.0),
    )


async def test_an_answer_about_the_lease_before_does_not_kill_the_one_that_followed() -> None:
    async with MemoryBackendConfig().open() as store:
        lease = Lease(store, INFO, 3.0)
        await lease.begin()
        hearing = Hearing()

        _note(lease, new_lease_id(), Renewal(alive=False), hearing)

        assert not lease.dead
        assert not hearing.hinted.is_set()


async def test_a_dead_lease_lets_nothing_start_until_another_is_opened() -> None:
    async with MemoryBackendConfig().open() as store:
        lease = Lease(store, INFO, 3.0)
        await lease.begin()
        assert lease.may_start

        _note(lease, lease.id, Renewal(alive=False), Hearing())
        assert lease.dead
        assert not lease.may_start

        await lease.begin()
        assert lease.may_start


async def test_an_answer_that_comes_late_does_not_revive_a_lease_that_was_lost() -> None:
    async with MemoryBackendConfig().open() as memory, asyncio.timeout(SOON):
        store: Any = LateStore(memory)
        lease = Lease(store, INFO, 60.0)
        await lease.begin()
        fetcher = fetcher_of(store, lease)
        keeper = LoopKeeper(store, lease, fetcher)

        store.late = True
        renewal = asyncio.create_task(keeper._poll())
        await store.done["renew"].wait()
        shift_clock(memory, timedelta(seconds=61))
        await memory.maintain(MaintenancePolicy(rescue=True))
        exchange = asyncio.create_task(fetcher.poll())
        await store.done["open_lease"].wait()
        store.let_go["renew"].set()
        await renewal

        assert lease.dead
        assert not lease.may_start

        store.let_go["open_lease"].set()
        await exchange
        assert lease.may_start


async def test_a_lease_runs_from_when_its_renewal_was_sent() -> None:
    async with MemoryBackendConfig().open() as store:
        lease = Lease(store, INFO, 3.0)
        await lease.begin()
        begun = lease.sending()

        lease.renewed(begun - 10)
        assert lease.may_start, "an answer that comes late takes nothing back"

        other = Lease(store, INFO, 3.0)
        other.renewed(begun - 2)
        assert not other.may_start, "a slow answer does not make the lease younger"


async def test_whoever_was_silent_judges_others_only_after_a_whole_lease_of_renewals() -> None:
    async with MemoryBackendConfig().open() as store:
        lease = Lease(store, INFO, 3.0)
        moment = lease.sending()
        for seconds in range(-14, -9):
            lease.renewed(moment + seconds)
        assert not lease.may_rescue, "silent for ten seconds"

        lease.extended(moment)
        assert not lease.may_rescue, "one sign of life is not a lease of renewals"

        lease.renewed(moment)
        assert not lease.may_rescue, "its renewals begin anew"

        steady = Lease(store, INFO, 3.0)
        for seconds in range(4):
            steady.renewed(moment - 3 + seconds)
        assert steady.may_rescue


async def test_the_keeper_survives_whatever_the_store_raises() -> None:
    def fault(name: str, number: int) -> Exception | None:
        return QueueError("unforeseen") if name == "renew" and number == 1 else None

    backend = FaultyBackend(MemoryBackendConfig(), fault)
    async with backend.open() as store, asyncio.timeout(SOON):
        lease = Lease(store, INFO, 0.03)
        await lease.begin()
        hearing = Hearing()
        keeper = asyncio.create_task(LoopKeeper(store, lease, hearing).run())
        try:
            while store.calls.get("renew", 0) < 3:
                await asyncio.sleep(0.01)
        finally:
            keeper.cancel()

    assert store.failed == ["renew before"]


async def test_a_lease_that_ran_out_before_its_opening_was_answered_gives_way() -> None:
    asked: list[str] = []

    def fault(name: str, number: int) -> str | Exception | None:
        asked.append(name)
        if name != "open_lease":
            return None
        return {1: "after", 2: LeaseLost(LeaseId("the first one"))}.get(number)

    backend = FaultyBackend(MemoryBackendConfig(), fault)
    async with backend.open() as store, asyncio.timeout(SOON):
        lease = Lease(store, INFO, 3.0)
        await lease.begin()

        assert asked == ["open_lease"] * 3
        assert lease.may_start
        assert (await store.renew(lease.id, seconds=3.0)).alive


async def test_a_keeper_leaves_a_dead_lease_alone() -> None:
    backend = FaultyBackend(MemoryBackendConfig(), lambda name, number: None)
    async with backend.open() as store:
        lease = Lease(store, INFO, 0.03)
        await lease.begin()
        lease.dead = True
        keeper = LoopKeeper(store, lease, Hearing())

        assert await keeper._poll() == lease.interval
        assert "renew" not in store.calls


async def test_a_loop_that_was_given_up_and_comes_back_is_alive_again() -> None:
    watchdog = Watchdog(stall_limit=0.05, own_process=False)
    watchdog.look()
    time.sleep(0.1)  # noqa: ASYNC251  (the loop is blocked)
    watchdog.look()
    assert not watchdog.alive

    await asyncio.sleep(0)  # the loop answers what the look has asked
    assert watchdog.alive


async def test_a_loop_is_not_blamed_for_a_look_that_comes_late() -> None:
    watchdog = Watchdog(stall_limit=0.05, own_process=False)
    watchdog.look()
    await asyncio.sleep(0)
    time.sleep(0.1)  # noqa: ASYNC251  (whoever looks was kept, and the loop has answered before)
    watchdog.look()
    assert watchdog.alive
