"""The version of the layout: whatever is kept has one, and nothing is written into another."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from tests.resp.matrix import make_config
from tests.resp.servers import Server

from litestar_queues_core.errors import LeaseLost, SchemaError
from litestar_queues_core.ids import new_lease_id
from litestar_queues_core.model import Event
from litestar_queues_core.settlements import MaintenancePolicy, Wants
from litestar_queues_core.testing import Claimer, make_job, make_jobs
from litestar_queues_resp import RespBackendConfig, RespStore
from litestar_queues_resp.layout import VERSION

Call = Callable[[RespStore], Awaitable[Any]]

EVENT = Event(type="task.log", job_id=make_job().id, task="t", queue="default", occurred_ms=1)
CALLS: dict[str, Call] = {
    "enqueue": lambda store: store.enqueue(make_jobs(2)),
    "enqueue for later": lambda store: store.enqueue([make_job(delay_ms=5000)]),
    "open_lease": lambda store: Claimer(store).open(),
    "exchange": lambda store: store.exchange(new_lease_id(), 1, [], Wants(limit=1, others=1)),
    "renew": lambda store: store.renew(new_lease_id(), seconds=5.0),
    "close_lease": lambda store: store.close_lease(new_lease_id()),
    "maintain": lambda store: store.maintain(MaintenancePolicy()),
    "cancel": lambda store: store.cancel([make_job().id], running=True),
    "revive": lambda store: store.revive([make_job().id]),
    "release_keys": lambda store: store.release_keys(["key"]),
    "notify": lambda store: store.notify(["lane:default", f"job:{make_job().id}"]),
    "wait": lambda store: store.wait([f"job:{make_job().id}"], 0.05),
    "append_events": lambda store: store.append_events([EVENT]),
    "prune_events": lambda store: store.prune_events(older_than=0.0, limit=10),
}
CREATING = ["enqueue", "enqueue for later", "open_lease", "wait", "append_events"]
"""What puts something where nothing is."""


@pytest.fixture
def config(server: Server) -> RespBackendConfig:
    return make_config("valkey-py", server.url)


@pytest.fixture
def key(config: RespBackendConfig) -> str:
    return f"{{{config.prefix}}}:v"


@pytest.fixture
async def emptied_store(config: RespBackendConfig, server: Server) -> AsyncGenerator[RespStore]:
    """A store that was open when its server lost everything."""
    async with config.open() as store:
        server.ask("FLUSHALL")
        yield store


@pytest.mark.parametrize("name", CALLS)
async def test_what_is_kept_after_all_was_lost_has_a_layout(
    emptied_store: RespStore, server: Server, key: str, name: str
) -> None:
    with suppress(LeaseLost):
        await CALLS[name](emptied_store)

    lasting = [found for found in server.ask("KEYS", "*") if server.ask("PTTL", found) == -1]
    assert (key in lasting) == bool(lasting) == (name in CREATING)
    assert server.ask("GET", key) == (VERSION if lasting else None)


@pytest.mark.parametrize("name", CREATING)
async def test_nothing_is_written_into_another_layout(
    emptied_store: RespStore, server: Server, key: str, name: str
) -> None:
    """A later version was the first to come back."""
    server.ask("SET", key, "99")

    with pytest.raises(SchemaError, match="have layout 99"):
        await CALLS[name](emptied_store)

    assert [found for found in server.ask("KEYS", "*") if server.ask("PTTL", found) == -1] == [key]


async def test_what_somebody_else_keeps_under_the_prefix_is_left_alone(
    config: RespBackendConfig, server: Server, key: str
) -> None:
    theirs = f"{{{config.prefix}}}:j"
    server.ask("SADD", theirs, "theirs")

    with pytest.raises(SchemaError, match=r"somebody else's.*another prefix"):
        async with config.open():
            pass

    assert server.ask("KEYS", "*") == [theirs]


async def test_without_a_version_nothing_is_added_to_what_is_there(
    config: RespBackendConfig, server: Server, key: str
) -> None:
    async with config.open() as store:
        await store.enqueue(make_jobs(2))
        server.ask("DEL", key)

        with pytest.raises(SchemaError, match="have no layout"):
            await store.enqueue(make_jobs(1))

        assert (await store.count()).oldest_pending_ms is not None
