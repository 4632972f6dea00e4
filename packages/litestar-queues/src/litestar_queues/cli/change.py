"""Commands that change jobs: ``cancel``, ``revive``, ``prune``."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import click
from litestar import Litestar
from rich_click import RichCommand

from litestar_queues.cli.exits import run
from litestar_queues.cli.opening import opened
from litestar_queues.cli.options import as_json, duration, filters
from litestar_queues.cli.output import print_json, progress
from litestar_queues_core.asking import ask
from litestar_queues_core.exits import NOT_DONE
from litestar_queues_core.ids import JobId
from litestar_queues_core.model import Job, Status
from litestar_queues_core.queries import cancellable, revivable
from litestar_queues_core.service import QueueService
from litestar_queues_core.settlements import Enqueued, JobQuery, MaintenancePolicy

PAGE = 200
DONE = {"cancelled", "requested", "revived"}
WOULD_DO = {str(status) for status in Status}

T = TypeVar("T")

Outcomes = Sequence[tuple[str, str]]
Advance = Callable[[int], None]
Act = Callable[[QueueService, Advance], Awaitable[Outcomes]]

_ids = click.argument("job_ids", nargs=-1, metavar="[JOB_ID]...")
_dry_run = click.option("--dry-run", is_flag=True, help="Change nothing; say what would be.")


@click.command(cls=RichCommand)
@_ids
@filters
@_dry_run
@click.option("--waiting-only", is_flag=True, help="Leave running jobs alone.")
@as_json
def cancel(
    app: Litestar,
    *,
    job_ids: tuple[str, ...],
    queue: str | None,
    task: str | None,
    statuses: tuple[str, ...],
    dry_run: bool,
    waiting_only: bool,
    as_json: bool,
) -> None:
    """Cancel jobs, by id or all that the options describe.

    A waiting job ends at once; a running one is asked to stop, by default.
    """
    query = _query(job_ids, queue, task, statuses, narrowed=cancellable)
    running = not waiting_only

    async def act(service: QueueService, advance: Advance) -> Outcomes:
        if query is not None:
            done = await service.cancel_all(query, running=running, progress=advance)
            return list(done.items())
        return await _each(job_ids, partial(service.cancel_many, running=running), advance)

    run(_change(app, job_ids, query, act, dry_run=dry_run, as_json=as_json))


@click.command(cls=RichCommand)
@_ids
@filters
@_dry_run
@as_json
def revive(
    app: Litestar,
    *,
    job_ids: tuple[str, ...],
    queue: str | None,
    task: str | None,
    statuses: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make finished jobs wait again, with all their attempts; by id, or all that options describe.

    Without --status, these are the failed ones.
    """
    query = _query(job_ids, queue, task, statuses, narrowed=revivable)

    async def act(service: QueueService, advance: Advance) -> Outcomes:
        if query is not None:
            answers = list((await service.revive_all(query, progress=advance)).items())
        else:
            answers = await _each(job_ids, service.revive_many, advance)
        return [(job_id, _revival(job_id, answer)) for job_id, answer in answers]

    run(_change(app, job_ids, query, act, dry_run=dry_run, as_json=as_json))


def _revival(job_id: str, answer: Enqueued) -> str:
    if answer.error is not None:
        return f"refused: {answer.error}"
    if answer.id != job_id:
        return f"refused: its key is held by job {answer.id}"
    return "revived"


def _query(
    job_ids: Sequence[str],
    queue: str | None,
    task: str | None,
    statuses: Sequence[str],
    *,
    narrowed: Callable[[JobQuery], JobQuery],
) -> JobQuery | None:
    """Return what the options describe; ``None`` if ids are given instead."""
    described = bool(queue or task or statuses)
    if bool(job_ids) == described:
        raise click.UsageError("give job ids, or at least one of --queue, --task and --status")
    if job_ids:
        return None
    status = [Status(one) for one in statuses]
    return narrowed(JobQuery(status=status, queue=queue, task=task, limit=PAGE))


async def _change(
    app: Litestar,
    job_ids: Sequence[str],
    query: JobQuery | None,
    act: Act,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    async with opened(app) as service:
        with progress("jobs", total=len(job_ids) or None) as advance:
            if not dry_run:
                outcomes = await act(service, advance)
            elif query is not None:
                outcomes = await _look_all(service, query, advance)
            else:
                outcomes = await _look(service, job_ids, advance)
    _report(outcomes, one_by_one=query is None, dry_run=dry_run, as_json=as_json)


async def _look_all(service: QueueService, query: JobQuery, advance: Advance) -> Outcomes:
    found: list[tuple[str, str]] = []
    async for job in service.find_all(query):
        found.append((job.id, job.status))
        advance(1)
    return found


async def _look(service: QueueService, job_ids: Sequence[str], advance: Advance) -> Outcomes:
    async def look(ids: Sequence[str]) -> Sequence[Job | None]:
        return await ask(service.store.get([JobId(one) for one in ids]))

    found = await _each(job_ids, look, advance)
    return [(job_id, "not_found" if job is None else job.status) for job_id, job in found]


async def _each(
    job_ids: Sequence[str],
    act: Callable[[Sequence[str]], Awaitable[Sequence[T]]],
    advance: Advance,
) -> list[tuple[str, T]]:
    """Let *act* have the ids, some at a time, and return what it answered to each."""
    done: list[tuple[str, T]] = []
    for start in range(0, len(job_ids), PAGE):
        batch = job_ids[start : start + PAGE]
        done += zip(batch, await act(batch), strict=True)
        advance(len(batch))
    return done


def _report(outcomes: Outcomes, *, one_by_one: bool, dry_run: bool, as_json: bool) -> None:
    totals = Counter(outcome for _, outcome in outcomes)
    if as_json:
        jobs = [{"id": job_id, "outcome": outcome} for job_id, outcome in outcomes]
        print_json({"dry_run": dry_run, "outcomes": dict(totals), "jobs": jobs})
    elif one_by_one:
        for job_id, outcome in outcomes:
            click.echo(f"{job_id}  {outcome}")
    else:
        for outcome, number in totals.most_common():
            click.echo(f"{number:,} {outcome}")
        if not outcomes:
            click.echo("No such jobs.")
        elif dry_run:
            click.echo("A dry run: nothing was changed.")
    if one_by_one and not set(totals) <= (WOULD_DO if dry_run else DONE):
        sys.exit(NOT_DONE)


@click.command(cls=RichCommand)
@click.option("--completed", type=duration, help="Age at which jobs that ended well go.")
@click.option("--failed", type=duration, help="Age at which failed jobs go.")
@click.option("--max-finished", type=click.IntRange(0), help="How many finished jobs stay.")
@as_json
def prune(
    app: Litestar,
    completed: float | None,
    failed: float | None,
    max_finished: int | None,
    as_json: bool,
) -> None:
    """Remove finished jobs now, by the retention of the settings or that of the options.

    Workers do this all the time.  Nothing goes within a minute of its end.  Ages are seconds, or
    like 15m, 2h, 7d.
    """
    given = {"completed": completed, "failed": failed, "max_finished": max_finished}
    changes = {name: value for name, value in given.items() if value is not None}
    removed = run(_prune(app, changes))
    if as_json:
        print_json({"pruned": removed})
    else:
        click.echo(f"{removed:,} finished jobs were removed.")


async def _prune(app: Litestar, changes: Mapping[str, Any]) -> int:
    removed = 0
    async with opened(app) as service:
        retention = replace(service.config.retention, **changes)
        policy = MaintenancePolicy(rescue=False, retention=retention)
        with progress("removed") as advance:
            while True:
                done = await ask(service.store.maintain(policy))
                removed += done.pruned
                advance(done.pruned)
                if not done.more:
                    return removed
