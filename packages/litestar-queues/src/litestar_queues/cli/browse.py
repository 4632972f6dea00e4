"""Commands that look: ``status``, ``list``, ``show``, ``events``."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import click
from litestar import Litestar
from rich_click import RichCommand

from litestar_queues.cli.exits import NotDone, run
from litestar_queues.cli.opening import describe, opened
from litestar_queues.cli.options import as_json, filters
from litestar_queues.cli.output import (
    ago,
    is_overdue,
    print_fields,
    print_json,
    print_table,
    span,
)
from litestar_queues.cli.views import as_text, everything, instant, summary
from litestar_queues.events import envelope
from litestar_queues_core.choices import backend_of
from litestar_queues_core.model import Event, Job, Status
from litestar_queues_core.service import QueueService
from litestar_queues_core.settlements import Count, JobQuery, LeaseView, QueueCounts

MOST_EVENTS = 10_000
LONGEST = 150


@click.command(cls=RichCommand)
@as_json
def status(app: Litestar, as_json: bool) -> None:
    """Show how many jobs stand where, and which workers live."""
    run(_status(app, as_json))


async def _status(app: Litestar, as_json: bool) -> None:
    async with opened(app) as service:
        counts = await service.count()
        backend = describe(backend_of(service.config))
    oldest = counts.oldest_pending_ms
    waited = None if oldest is None else max(0, counts.now_ms - oldest) / 1000
    if as_json:
        print_json(
            {
                "backend": backend,
                "counts": [_count(one) for one in counts.counts],
                "oldest_pending_seconds": waited,
                "workers": [_worker(one) for one in counts.leases],
            }
        )
        return
    print_fields(
        {"backend": backend, "oldest pending job": f"waits for {span(waited)}" if waited else None}
    )
    _print_counts(counts)
    _print_workers(counts)


def _count(count: Count) -> dict[str, Any]:
    return {
        "queue": count.queue,
        "status": str(count.status),
        "count": count.value,
        "exact": count.exact,
    }


def _worker(lease: LeaseView) -> dict[str, Any]:
    return {
        "name": lease.worker,
        "host": lease.host,
        "pid": lease.pid,
        "queues": list(lease.queues),
        "jobs": lease.held,
        "lease_expires_in": round(lease.expires_in, 3),
        "dead": lease.dead,
    }


def _print_counts(counts: QueueCounts) -> None:
    rows: dict[str, dict[Status, str]] = defaultdict(dict)
    for one in counts.counts:
        if one.value:
            rows[one.queue][one.status] = f"{one.value:,}{'' if one.exact else '+'}"
    if not rows:
        click.echo("No jobs.")
        return
    columns = [status for status in Status if any(status in row for row in rows.values())]
    print_table(
        ["queue", *columns],
        [
            ["all queues" if queue == "*" else queue, *(row.get(one, "") for one in columns)]
            for queue, row in sorted(rows.items())
        ],
    )


def _print_workers(counts: QueueCounts) -> None:
    if not counts.leases:
        click.echo("No workers.")
        return
    print_table(
        ["worker", "host", "pid", "jobs", "lease", "queues"],
        [
            [
                one.worker,
                one.host,
                str(one.pid),
                one.held,
                _lease(one),
                ", ".join(one.queues) or "all",
            ]
            for one in sorted(counts.leases, key=lambda one: one.worker)
        ],
    )


def _lease(lease: LeaseView) -> str:
    if lease.dead:
        return "dead"
    left = lease.expires_in
    return f"{span(left)} left" if left >= 0 else f"ran out {span(-left)} ago"


@click.command("list", cls=RichCommand)
@filters
@click.option("--key", help="Only the job that holds this uniqueness key.")
@click.option("--text", help="Only jobs whose id, task or error contains this.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--cursor", help="Go on where the last page ended.")
@as_json
def list_jobs(app: Litestar, statuses: tuple[str, ...], as_json: bool, **filters: Any) -> None:
    """List jobs, newest first."""
    query = JobQuery(status=[Status(one) for one in statuses], **filters)
    run(_list(app, query, as_json))


async def _list(app: Litestar, query: JobQuery, as_json: bool) -> None:
    async with opened(app) as service:
        page = await service.find(query)
    if as_json:
        print_json(
            {
                "jobs": [{**summary(job), "overdue": is_overdue(job)} for job in page.jobs],
                "cursor": page.cursor,
            }
        )
        return
    if not page.jobs:
        click.echo("No such jobs.")
    else:
        print_table(
            ["id", "status", "tries", "when", "task, queue"],
            [_row(job) for job in page.jobs],
        )
    if page.cursor:
        click.echo(f"There are more: --cursor {page.cursor}")


def _row(job: Job) -> list[object]:
    when = job.details.finished_ms or (
        job.details.started_ms if job.status is Status.RUNNING else job.due_ms
    )
    # What has failed is counted; one that runs, or has gone well, is an attempt besides.
    tries = job.attempt + (job.status in (Status.RUNNING, Status.COMPLETED))
    error = (job.error or "").splitlines()
    return [
        job.id,
        "running, overdue" if is_overdue(job) else job.status,
        f"{tries}/{job.new.spec.retries + 1}",
        ago(when),
        "\n".join([f"{job.task}, {job.queue}", *(line[:LONGEST] for line in error[:1])]),
    ]


@click.command(cls=RichCommand)
@click.argument("job_id")
@as_json
def show(app: Litestar, job_id: str, as_json: bool) -> None:
    """Show everything about one job."""
    run(_show(app, job_id, as_json))


async def _show(app: Litestar, job_id: str, as_json: bool) -> None:
    async with opened(app) as service:
        job = await record_of(service, job_id)
        view: dict[str, Any] = {**everything(job, service), "overdue": is_overdue(job)}
    if as_json:
        print_json(view)
        return
    errors = view.pop("errors")
    shown = {
        name.replace("_", " "): as_text(value) if type(value) in (dict, list) else value
        for name, value in view.items()
        if value not in ({}, False)
    }
    print_fields(shown)
    for one in errors:
        click.echo()
        print_fields({name.replace("_", " "): value for name, value in one.items()})


async def record_of(service: QueueService, job_id: str) -> Job:
    """Return the record of a job.

    Raises:
        NotDone: It is not known.
    """
    found = await service.get(job_id)
    if found is None or found.record is None:
        raise NotDone(f"there is no job {job_id!r}; it may have been pruned")
    return found.record


@click.command(cls=RichCommand)
@click.argument("job_id", required=False)
@click.option("--task", help="Only events of this task's jobs.")
@click.option("--queue", help="Only events of this queue's jobs.")
@click.option("--type", help="Only events of this type, for example job.failed.")
@click.option("--level", help="Only events of this level.")
@as_json
def events(app: Litestar, job_id: str | None, as_json: bool, **filters: str | None) -> None:
    """Show the events that the store has kept, oldest first.

    They are kept if QueueEventConfig(enabled=True, history=EventHistoryConfig()) says so.
    """
    wanted = {name: value for name, value in filters.items() if value is not None}
    run(_events(app, job_id, wanted, as_json))


async def _events(
    app: Litestar, job_id: str | None, filters: dict[str, str], as_json: bool
) -> None:
    found: list[Event] = []
    async with opened(app) as service:
        config = service.config.event_config
        async for event in service.iter_events(job_id, **filters):
            found.append(event)
            if len(found) >= MOST_EVENTS:
                break
    if as_json:
        print_json([envelope(event) for event in found])
    elif found:
        print_table(
            ["when", "type", "level", "job", "attempt", "worker", "message"],
            [_event_row(event) for event in found],
            fold=True,
        )
    elif config and config.enabled and config.history:
        click.echo("No such events.")
    else:
        click.echo("Events are not kept here: QueueEventConfig(history=...) does that.")


def _event_row(event: Event) -> list[object]:
    return [
        instant(event.occurred_ms),
        event.type,
        event.level,
        event.job_id,
        event.attempt,
        event.worker or "",
        event.message or (as_text(dict(event.payload)) if event.payload else ""),
    ]
