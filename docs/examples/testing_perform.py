"""One attempt of one task, without a store."""

from __future__ import annotations

import asyncio

from litestar_queues_core import Discard, task
from litestar_queues_core.testing import perform_job


@task("accounts.close", retries=3)
async def close_account(name: str) -> str:
    if not name:
        raise Discard("no name")
    return f"{name} closed"


async def test_an_account_is_closed() -> None:
    assert await perform_job(close_account, "ann") == "ann closed"


async def test_an_account_without_a_name_is_given_up() -> None:
    try:
        await perform_job(close_account, name="")
    except Discard as signal:
        assert signal.reason == "no name"
    else:
        raise AssertionError("it was not given up")


asyncio.run(test_an_account_is_closed())
asyncio.run(test_an_account_without_a_name_is_given_up())
