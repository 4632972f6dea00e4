"""What waits for the server's disk, and what need not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from litestar_queues_core.settlements import Kind, Wants
from litestar_queues_core.testing import Claimer, make_job, make_jobs
from litestar_queues_core.testing.jobs import settled
from litestar_queues_sql.drivers.asyncpg import AsyncpgConnection
from litestar_queues_sqlspec import SQLSpecBackendConfig

SETTING = "SELECT current_setting('synchronous_commit')"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that were sent to the server, each with its round trip."""
    texts: list[str] = []
    fetch, run = AsyncpgConnection.fetch, AsyncpgConnection.run

    async def noted_fetch(one: Any, text: str, params: Sequence[object]) -> Any:
        texts.append(text)
        return await fetch(one, text, params)

    async def noted_run(one: Any, text: str) -> None:
        texts.append(text)
        await run(one, text)

    monkeypatch.setattr(AsyncpgConnection, "fetch", noted_fetch)
    monkeypatch.setattr(AsyncpgConnection, "run", noted_run)
    return texts


async def test_an_exchange_and_an_enqueue_take_one_statement(
    backend: SQLSpecBackendConfig, sent: list[str]
) -> None:
    backend.notify = False
    async with backend.open() as store:
        claimer = await Claimer(store).open()
        await store.enqueue(make_jobs(300))
        wants = Wants(limit=100, others=100, suspects=1)
        first = await claimer.exchange(wants=wants)
        sent.clear()

        await claimer.exchange([settled(one, Kind.COMPLETE) for one in first.claimed], wants)
        await store.enqueue(make_jobs(100))

        assert len(sent) == 2


@pytest.mark.parametrize("relaxed", [True, False])
async def test_only_claims_and_settlements_are_relaxed(
    backend: SQLSpecBackendConfig, sent: list[str], relaxed: bool
) -> None:
    backend.notify, backend.relaxed_commit = False, relaxed
    async with backend.open() as store:
        claimer = await Claimer(store).open()
        await store.enqueue([make_job(), make_job(key="k")])
        jobs = await claimer.claim()
        await claimer.exchange([settled(one, Kind.COMPLETE) for one in jobs])
        async with store._exchanges._lend() as connection:
            after = await connection.fetch(SETTING, ())

    relaxing = [text for text in sent if "synchronous_commit', 'off'" in text]
    assert all("holder AS" in text for text in relaxing)
    assert bool(relaxing) is relaxed
    assert after[0][0] == "on"
