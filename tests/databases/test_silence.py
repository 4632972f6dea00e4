"""The network swallows what is sent, and tells nobody: nothing waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack
from typing import Any

import pytest
from tests.databases.ways import MARIADB

from litestar_queues_core.errors import StoreUnavailable
from litestar_queues_core.ids import LeaseId
from litestar_queues_core.protocols import BackendConfig, SupportsKeeper
from litestar_queues_core.testing import Claimer, make_job
from litestar_queues_core.testing.chaos import Proxy
from litestar_queues_sql import server
from litestar_queues_sql.mysql import opening
from litestar_queues_sql.postgres import notifier
from litestar_queues_sql.schema import upgrade

pytestmark = pytest.mark.timeout(60)

SOON = 30.0

Hurry = Callable[[float], None]


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> Hurry:
    """Makes the deadline of calls shorter."""

    def hurry(deadline: float) -> None:
        for module in (server, notifier):
            monkeypatch.setattr(module, "DEADLINE", deadline)

    return hurry


async def test_calls_end_and_so_does_closing(
    backend: BackendConfig, proxy: Proxy, hurry: Hurry
) -> None:
    async with AsyncExitStack() as opened:
        store: Any = await opened.enter_async_context(backend.open())
        await store.enqueue([make_job()])
        with proxy.hole():
            hurry(0.5)
            for _ in range(2):  # on a connection that there was, and on one that is made now
                with pytest.raises(StoreUnavailable):
                    await store.enqueue([make_job()])
            async with asyncio.timeout(SOON):
                await opened.aclose()


async def test_closing_ends_while_others_are_told_something(
    backend: BackendConfig, proxy: Proxy
) -> None:
    async with AsyncExitStack() as opened:
        store: Any = await opened.enter_async_context(backend.open())
        with proxy.hole():
            await store.notify(["lane:mail"])
            teller = getattr(store, "_notifier", None) or store._waker
            while teller._pending:
                await asyncio.sleep(0)
            await store.notify(["lane:post"])
            async with asyncio.timeout(SOON):
                await opened.aclose()


async def test_a_keeper_ends(backend: BackendConfig, proxy: Proxy, hurry: Hurry) -> None:
    async with backend.open() as store:
        assert isinstance(store, SupportsKeeper)
        hurry(0.5)

        def keep() -> None:
            with store.keeper() as keeper, proxy.hole(), pytest.raises(StoreUnavailable):
                keeper.close_lease(LeaseId("none"))

        async with asyncio.timeout(SOON):
            await asyncio.to_thread(keep)


async def test_a_renewal_leaves_time_for_another(backend: BackendConfig, proxy: Proxy) -> None:
    """Else a connection that has fallen silent could cost the lease."""
    async with backend.open() as store:
        assert isinstance(store, SupportsKeeper)
        claimer = await Claimer(store).open(seconds=3)

        def keep() -> bool:
            with store.keeper() as keeper:
                with proxy.hole(), pytest.raises(StoreUnavailable, match="within 1 s"):
                    keeper.renew(claimer.lease, seconds=3)
                return keeper.renew(claimer.lease, seconds=3).alive

        assert await asyncio.to_thread(keep)


async def test_opening_ends(backend: BackendConfig, proxy: Proxy, hurry: Hurry) -> None:
    hurry(0.5)
    with proxy.hole(), pytest.raises(StoreUnavailable):
        async with asyncio.timeout(SOON), backend.open():
            raise AssertionError("there is nobody")


@pytest.mark.parametrize("way", MARIADB, ids=str, indirect=True)
async def test_making_the_tables_ends(
    backend: BackendConfig, proxy: Proxy, hurry: Hurry, monkeypatch: pytest.MonkeyPatch
) -> None:
    fallen = False
    with ExitStack() as later:

        def falls_silent() -> Any:
            nonlocal fallen
            fallen = True
            hurry(0.5)
            later.enter_context(proxy.hole())
            return (yield from upgrade())

        monkeypatch.setattr(opening, "upgrade", falls_silent)
        with pytest.raises(StoreUnavailable):
            async with asyncio.timeout(SOON), backend.open():
                raise AssertionError("there are no tables")
    assert fallen
