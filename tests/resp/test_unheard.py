"""Waiting on a server that goes away: the error reaches whoever waits, and nobody else."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

from tests.resp.matrix import make_config
from tests.resp.servers import Server

from litestar_queues_core.errors import StoreUnavailable
from litestar_queues_core.protocols import SupportsSignals
from litestar_queues_core.testing import make_job


async def test_an_error_is_told_once(own: Server) -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    async with make_config("redis-py", own.url).open() as store:
        assert isinstance(store, SupportsSignals)
        own.kill()
        for _ in range(3):
            waits = [store.wait([f"job:{make_job().id}"], 5) for _ in range(10)]
            for answer in await asyncio.gather(*waits, return_exceptions=True):
                assert isinstance(answer, StoreUnavailable)
        own.restart()
    gc.collect()
    await asyncio.sleep(0)

    assert told == []
