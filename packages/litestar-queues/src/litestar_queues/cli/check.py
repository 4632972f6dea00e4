"""``litestar queues check``."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import click
from litestar import Litestar
from rich_click import RichCommand

from litestar_queues.cli.exits import run
from litestar_queues.cli.opening import describe, opened
from litestar_queues.cli.options import as_json
from litestar_queues.cli.output import console, print_json, span
from litestar_queues_core.choices import backend_of, executor_name
from litestar_queues_core.errors import MissingAbilityError, UnknownTaskError
from litestar_queues_core.exits import NOT_DONE
from litestar_queues_core.immediate import IMMEDIATE
from litestar_queues_core.lanes import LOCAL, executor_of
from litestar_queues_core.model import WAITING, Job, Status
from litestar_queues_core.protocols import SupportsBrowse, SupportsSchedules
from litestar_queues_core.service import QueueService
from litestar_queues_core.settlements import JobQuery, LeaseView, QueueCounts

SAMPLE = 1000
SLOW = 60.0
CLOCKS = 5.0

MARKS = {"ok": "[green]ok     [/]", "warning": "[yellow]warning[/]", "problem": "[red]problem[/]"}


class Finding(NamedTuple):
    """What one check has found.

    Attributes:
        level: ``ok``, ``warning`` or ``problem``.
        about: What was looked at.
        message: What was found, and for a problem what to do.
    """

    level: str
    about: str
    message: str


@click.command(cls=RichCommand)
@as_json
def check(app: Litestar, as_json: bool) -> None:
    """Look for what keeps jobs from being run: the store, the workers, the code.

    Exits with 1 if there is a problem; a warning is none.
    """
    findings = run(_findings(app))
    if as_json:
        print_json([finding._asdict() for finding in findings])
    else:
        for finding in findings:
            console().print(f"{MARKS[finding.level]} {finding.about}: ", end="")
            console().print(finding.message, markup=False)
    if any(finding.level == "problem" for finding in findings):
        sys.exit(NOT_DONE)


async def _findings(app: Litestar) -> list[Finding]:
    try:
        return await _check(app)
    except MissingAbilityError as error:
        return [Finding("problem", "abilities", str(error))]


async def _check(app: Litestar) -> list[Finding]:
    async with opened(app) as service:
        findings = [Finding("ok", "store", f"{describe(backend_of(service.config))} is open")]
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
        yield Finding("problem", "workers", f"none is alive, and {pending:,} jobs wait; {fix}")
    else:
        yield Finding("warning", "workers", "none is alive")
    if counts.oldest_pending_ms is not None:
        waited = (counts.now_ms - counts.oldest_pending_ms) / 1000
        level = "warning" if waited > SLOW else "ok"
        yield Finding(level, "backlog", f"the oldest pending job has waited for {span(waited)}")


def _alive(counts: QueueCounts) -> list[LeaseView]:
    return [one for one in counts.leases if not one.dead and one.expires_in > 0]


def _executors(service: QueueService, jobs: Sequence[Job]) -> Iterator[Finding]:
    config = service.config
    here = {LOCAL, IMMEDIATE, executor_name(config.execution_backend)}
    here.update(map(executor_name, config.execution_backends))
    for executor, number in Counter(executor_of(job.lane) for job in jobs).items():
        if executor not in here:
            fix = "add it to QueueConfig.execution_backends"
            message = (
                f"{number:,} jobs wait for {executor!r}, which no worker of this code has; {fix}"
            )
            yield Finding("problem", "execution backends", message)


def _queues(
    service: QueueService, jobs: Sequence[Job], alive: Sequence[LeaseView]
) -> Iterator[Finding]:
    """Compare queues with what live workers take; if there are none, with what ours would."""
    taken = [one.queues for one in alive] or [service.config.worker.queues]
    if not all(taken):
        return
    named = {queue for queues in taken for queue in queues}
    level, lacking = (
        ("problem", "which no live worker takes; start one with --queue")
        if alive
        else ("warning", "which WorkerConfig.queues does not name")
    )
    for queue, number in Counter(job.queue for job in jobs).items():
        if queue not in named:
            yield Finding(level, "queues", f"{number:,} jobs wait in {queue!r}, {lacking}")


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
