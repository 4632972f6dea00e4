"""``litestar queues check``."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import click
from litestar import Litestar
from rich_click import RichCommand

from litestar_queues.cli.exits import run
from litestar_queues.cli.opening import describe, opened
from litestar_queues.cli.options import as_json
from litestar_queues.cli.output import console, print_json, span
from litestar_queues_core.choices import backend_of, executor_name
from litestar_queues_core.errors import MissingAbilityError, StoreError, UnknownTaskError
from litestar_queues_core.exits import NOT_DONE, exit_code
from litestar_queues_core.findings import Finding
from litestar_queues_core.immediate import IMMEDIATE
from litestar_queues_core.lanes import LOCAL, executor_of
from litestar_queues_core.model import WAITING, Job, Status
from litestar_queues_core.protocols import SupportsBrowse, SupportsCheck, SupportsSchedules
from litestar_queues_core.service import QueueService
from litestar_queues_core.settlements import JobQuery, LeaseView, QueueCounts

SAMPLE = 1000
SLOW = 60.0
CLOCKS = 5.0

MARKS = {"ok": "[green]ok     [/]", "warning": "[yellow]warning[/]", "problem": "[red]problem[/]"}


@click.command(cls=RichCommand)
@as_json
def check(app: Litestar, as_json: bool) -> None:
    """Look for what keeps jobs from being run: the store, the workers, the code.

    Exits with 1 if there is a problem; a warning is none.  With 3 if the store cannot be used.
    """
    findings, code = run(_findings(app))
    if as_json:
        print_json([finding._asdict() for finding in findings])
    else:
        for finding in findings:
            console().print(f"{MARKS[finding.level]} {finding.about}: ", end="")
            console().print(str(finding), markup=False)
    if code:
        sys.exit(code)


async def _findings(app: Litestar) -> tuple[list[Finding], int]:
    """Return what was found, and the exit code."""
    try:
        findings = await _check(app)
    except MissingAbilityError as error:
        return [Finding("problem", "abilities", str(error))], NOT_DONE
    except StoreError as error:
        return [Finding("problem", "store", str(error))], exit_code(error)
    bad = any(finding.level == "problem" for finding in findings)
    return findings, NOT_DONE if bad else 0


async def _check(app: Litestar) -> list[Finding]:
    async with opened(app) as service:
        findings = [Finding("ok", "store", f"{describe(backend_of(service.config))} is open")]
        if isinstance(service.store, SupportsCheck):
            findings += await service.store.check()
        findings += _schedules(service)
        if not isinstance(service.store, SupportsBrowse):
            lacking = f"{type(service.store).__name__} cannot be looked through"
            return [*findings, Finding("warning", "jobs", lacking)]
        counts = await service.count()
        sample = await _sample(service)
    findings += _clocks(counts)
    findings += _workers(counts)
    findings += _executors(service, sample)
    findings += _queues(service, sample, _alive(counts))
    findings += _tasks(service, sample)
    return findings


def _schedules(service: QueueService) -> Iterator[Finding]:
    """Name the tasks whose schedule nobody keeps; only without initialize_schedules can one be."""
    names = [task.name for task in service.registry if task.schedule is not None]
    if names and not isinstance(service.store, SupportsSchedules):
        message = f"do not run by themselves: {type(service.store).__name__} keeps no schedules"
        yield Finding("warning", "schedules", f"{', '.join(names)} {message}")


async def _sample(service: QueueService) -> list[Job]:
    """Return jobs that wait, the newest of them."""
    jobs: list[Job] = []
    query = JobQuery(status=sorted(WAITING), limit=200)
    async for job in service.find_all(query):
        jobs.append(job)
        if len(jobs) == SAMPLE:
            break
    return jobs


def _clocks(counts: QueueCounts) -> Iterator[Finding]:
    ahead = counts.now_ms / 1000 - time.time()
    if abs(ahead) > CLOCKS:
        which = "ahead of" if ahead > 0 else "behind"
        yield Finding(
            "warning",
            "clock",
            f"the store's clock is {span(abs(ahead))} {which} this machine's; jobs are due by the "
            f"store's",
        )


def _workers(counts: QueueCounts) -> Iterator[Finding]:
    alive = _alive(counts)
    pending = sum(one.value for one in counts.counts if one.status is Status.PENDING)
    if alive:
        held = sum(one.held for one in alive)
        yield Finding("ok", "workers", f"{len(alive)} alive, with {held} jobs")
    elif pending:
        fix = "run 'litestar queues worker', or serve the application with placement='app'"
        yield Finding("problem", "workers", f"none is alive, and {pending:,} jobs wait", fix)
    else:
        yield Finding("warning", "workers", "none is alive")
    if counts.oldest_pending_ms is not None:
        waited = (counts.now_ms - counts.oldest_pending_ms) / 1000
        yield Finding(
            "warning" if waited > SLOW else "ok",
            "backlog",
            f"the oldest pending job has waited for {span(waited)}",
        )


def _alive(counts: QueueCounts) -> list[LeaseView]:
    return [one for one in counts.leases if not one.dead and one.expires_in > 0]


def _executors(service: QueueService, jobs: Sequence[Job]) -> Iterator[Finding]:
    config = service.config
    here = {LOCAL, IMMEDIATE, executor_name(config.execution_backend)}
    here.update(map(executor_name, config.execution_backends))
    for executor, number in Counter(executor_of(job.lane) for job in jobs).items():
        if executor not in here:
            fix = "add it to QueueConfig.execution_backends"
            message = f"{number:,} jobs wait for {executor!r}, which no worker of this code has"
            yield Finding("problem", "execution backends", message, fix)


def _queues(
    service: QueueService, jobs: Sequence[Job], alive: Sequence[LeaseView]
) -> Iterator[Finding]:
    """Compare queues with what live workers take; if there are none, with what ours would."""
    taken = [one.queues for one in alive] or [service.config.worker.queues]
    if not all(taken):
        return
    named = {queue for queues in taken for queue in queues}
    for queue, number in Counter(job.queue for job in jobs).items():
        if queue in named:
            continue
        wait = f"{number:,} jobs wait in {queue!r}"
        if alive:
            fix = "start one with --queue"
            yield Finding("problem", "queues", f"{wait}, which no live worker takes", fix)
        else:
            yield Finding("warning", "queues", f"{wait}, which WorkerConfig.queues does not name")


def _tasks(service: QueueService, jobs: Sequence[Job]) -> Iterator[Finding]:
    unknown = Counter(job.task for job in jobs if job.task not in service.registry)
    for name, number in unknown.items():
        message = f"{number:,} jobs wait for a task unknown here: {UnknownTaskError(name)}"
        yield Finding("problem", "tasks", message)
    if not unknown:
        yield Finding(
            "ok",
            "tasks",
            f"{len(service.registry)} are known here, among them all that jobs wait for",
        )
