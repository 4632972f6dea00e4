"""A Litestar application with a worker inside."""

from __future__ import annotations

import asyncio

from litestar import Litestar, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from litestar_queues import QueueConfig, QueuePlugin, QueueService, task

Queue = NamedDependency[QueueService]


@task("reports.build", retries=3)
async def build_report(year: int) -> str:
    await asyncio.sleep(1)  # stands for the work
    return f"the report of {year}"


@post("/reports/{year:int}")
async def order(year: FromPath[int], queue_service: Queue) -> dict[str, str]:
    result = await queue_service.enqueue(build_report, year)
    return {"job": result.id}


@get("/jobs/{job_id:str}")
async def look(job_id: FromPath[str], queue_service: Queue) -> dict[str, str | None]:
    job = await queue_service.get(job_id)
    return {"status": job.status, "result": job.result} if job else {"status": "unknown"}


app = Litestar([order, look], plugins=[QueuePlugin(QueueConfig())])
