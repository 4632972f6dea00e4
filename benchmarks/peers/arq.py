"""Arq."""

from __future__ import annotations

from typing import Any

from arq import create_pool
from arq.connections import RedisSettings

from peers.counting import CONCURRENCY, URL, done, one_by_one

QUIET = {"version": 1}


async def noop(ctx: dict[str, Any], number: int) -> None:
    """Do nothing."""
    done(number)


class WorkerSettings:
    """What its command reads."""

    functions = (noop,)
    redis_settings = RedisSettings.from_dsn(URL)
    max_jobs = CONCURRENCY
    log_results = False


async def enqueue(jobs: int) -> None:
    """Enqueue one by one; there is no other way."""
    redis = await create_pool(WorkerSettings.redis_settings)
    await one_by_one(jobs, lambda number: redis.enqueue_job("noop", number))
    await redis.aclose()
