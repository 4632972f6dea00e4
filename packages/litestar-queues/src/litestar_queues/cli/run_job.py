"""``litestar queues run-job``."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import click
from litestar import Litestar
from rich_click import RichCommand

from litestar_queues.cli.browse import record_of
from litestar_queues.cli.exits import NotDone, run
from litestar_queues.cli.one_job import OneJobBackend
from litestar_queues.cli.opening import opened, settings_of
from litestar_queues.cli.options import as_json
from litestar_queues.cli.output import print_json
from litestar_queues.cli.views import everything
from litestar_queues.dependencies import TaskDependencies
from litestar_queues.lifespan import without_app_worker
from litestar_queues_core.choices import backend_of
from litestar_queues_core.config import QueueConfig
from litestar_queues_core.exits import NOT_DONE
from litestar_queues_core.ids import JobId
from litestar_queues_core.logs import log_plainly
from litestar_queues_core.model import Job, Status
from litestar_queues_core.service import QueueService
from litestar_queues_core.worker import Worker

AHEAD = 100


@click.command("run-job", cls=RichCommand)
@click.argument("job_id")
@as_json
def run_job(app: Litestar, job_id: str, as_json: bool) -> None:
    """Run one pending job now, in this process, whatever workers there are.

    A store hands out the jobs of a queue in their order: up to 99 that stand before this one are
    taken too, and given back at once.  Exits with 0 if the job is completed, else with 1.
    """
    log_plainly("INFO")
    view = run(_run_job(app, job_id))
    if as_json:
        print_json(view)
    else:
        end = f": {view['error']}" if view["error"] else f", result: {view['result']!r}"
        click.echo(f"{view['task']} {job_id} is {view['status']}{end}")
    if view["status"] != Status.COMPLETED:
        sys.exit(NOT_DONE)


async def _run_job(app: Litestar, job_id: str) -> dict[str, Any]:
    async with opened(app) as service:
        job = await record_of(service, job_id)
        if job.status is not Status.PENDING:
            raise NotDone(f"job {job_id} is {job.status}; only a pending job can be run")
        service.task(job.task)
    with without_app_worker():
        async with app.lifespan():
            return await _run_here(app, settings_of(app), job)


async def _run_here(app: Litestar, config: QueueConfig, job: Job) -> dict[str, Any]:
    backend = OneJobBackend(backend_of(config), JobId(job.id))
    config = replace(config, queue_backend=backend)
    async with QueueService(config, dependencies=TaskDependencies(app)) as service:
        worker = Worker(
            service,
            own_process=True,
            concurrency=AHEAD,
            queues=[job.queue],
            queue_concurrency={},
            sync_threads=1,
        )
        async with worker:
            await backend.store.over.wait()
        if not backend.store.found:
            raise NotDone(await _why_not(service, job))
        return everything(await record_of(service, job.id), service)


async def _why_not(service: QueueService, job: Job) -> str:
    now = (await record_of(service, job.id)).status
    if now is not Status.PENDING:
        return f"job {job.id} was taken by a worker just now; it is {now}"
    return f"job {job.id} cannot be taken: {AHEAD} jobs or more of its queue stand before it"
