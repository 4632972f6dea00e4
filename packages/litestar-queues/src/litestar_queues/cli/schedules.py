"""Commands about schedules: ``schedules``, ``tick``."""

from __future__ import annotations

from typing import Any

import click
from litestar import Litestar
from rich_click import RichCommand

from litestar_queues.cli.exits import Unable, run
from litestar_queues.cli.opening import opened
from litestar_queues.cli.options import as_json
from litestar_queues.cli.output import print_json, print_table
from litestar_queues.cli.views import instant
from litestar_queues_core.asking import ask
from litestar_queues_core.protocols import SupportsSchedules
from litestar_queues_core.schedules import ScheduleRow
from litestar_queues_core.service import QueueService


@click.command(cls=RichCommand)
@as_json
def schedules(app: Litestar, as_json: bool) -> None:
    """List the schedules that the store keeps."""
    run(_schedules(app, as_json))


async def _schedules(app: Litestar, as_json: bool) -> None:
    async with opened(app) as service:
        rows = [_view(row) for row in await ask(_store(service).list_schedules())]
    if as_json:
        print_json(rows)
    elif rows:
        print_table(list(rows[0]), [list(row.values()) for row in rows])
    else:
        click.echo("No schedules.")


def _view(row: ScheduleRow) -> dict[str, Any]:
    return {
        "key": row.schedule.key,
        "rule": row.schedule.rule,
        "next": instant(row.next_ms),
        "paused": row.paused,
        "skipped": row.skipped,
        "owner": row.owner,
    }


def _store(service: QueueService) -> SupportsSchedules:
    if isinstance(service.store, SupportsSchedules):
        return service.store
    raise Unable(
        f"{type(service.store).__name__} keeps no schedules in this version of litestar-queues; "
        f"tasks with cron= or interval= do not run by themselves"
    )


@click.command(cls=RichCommand)
def tick(app: Litestar) -> None:
    """Fire what is due among the schedules, once."""
    run(_tick(app))


async def _tick(app: Litestar) -> None:
    async with opened(app) as service:
        _store(service)
    raise Unable("this version of litestar-queues has no scheduler")
