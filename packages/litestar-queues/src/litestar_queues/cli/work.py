"""``litestar queues worker``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import click
from litestar import Litestar
from litestar.cli._utils import LitestarEnv
from rich_click import RichCommand

from litestar_queues.cli.exits import run
from litestar_queues.cli.opening import settings_of
from litestar_queues.cli.options import duration
from litestar_queues.cli.output import headline
from litestar_queues.lifespan import STATE_KEY, without_app_worker
from litestar_queues_core.config import WorkerConfig
from litestar_queues_core.logs import log_plainly
from litestar_queues_core.worker.standalone import run_worker
from litestar_queues_core.worker.supervisor import place, run_supervised, watch_parent

ENDING = """\
The first SIGTERM or Ctrl-C lets running jobs finish for --grace; each further one takes the next
step at once: stop what runs, leave.  With --processes, a process that ends is replaced.

Exit codes: 0 stopped as told, or the burst is over, or --max-jobs or --max-memory was reached;
1 jobs could not be stopped in time, or one of several processes had to be killed or crashed during
a burst; 2 wrong arguments or settings; 3 the store cannot be used; 4 it lacks an ability that a
setting needs; 70 the event loop was silent for too long; 130 interrupted before the worker had
started.
"""


@click.command("worker", cls=RichCommand, epilog=ENDING)
@click.option(
    "-q", "--queue", "--queues", "queues", multiple=True, help="Only this queue; may be repeated."
)
@click.option("-c", "--concurrency", type=int, help="Jobs at the same time, per process.")
@click.option("-p", "--processes", type=int, help="Worker processes.")
@click.option("--burst", is_flag=True, help="Exit once nothing is left to do now.")
@click.option("--lease", type=duration, help="Silence after which a process counts as dead.")
@click.option("--grace", type=duration, help="Time for running jobs to finish when told to stop.")
@click.option("--sync-threads", type=int, help="Threads for sync tasks, per process.")
@click.option("--poll-interval", type=duration, help="Longest rest between two looks for work.")
@click.option("--max-jobs", type=int, help="End a process after so many jobs.")
@click.option("--max-memory", type=int, help="End a process that holds so many MiB.")
@click.option("--name", help="Name of the worker; with --processes, the beginning of it.")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="What to log, unless the application configures logging.",
)
def work(
    app: Litestar, env: LitestarEnv, burst: bool, name: str | None, log_level: str, **options: Any
) -> None:
    """Run jobs until told to stop.

    What is not given is taken from WorkerConfig.  The application is started, with all that its
    tasks depend on, but not served.
    """
    supervised = watch_parent()
    log_plainly(log_level.upper())
    overrides = {option: value for option, value in options.items() if value not in (None, ())}
    config = run(_settings(app, overrides))
    if config.processes > 1 and not supervised:
        headline(f"Starting {config.processes} queue workers")
        sys.exit(
            run_supervised(
                _command(env, overrides, burst=burst, name=name, log_level=log_level),
                processes=config.processes,
                grace=cast(float, config.grace),
                burst=burst,
            )
        )
    headline("Starting a queue worker")
    number = place()
    name = f"{name}-{number}" if name and number else name
    run(_work(app, overrides, burst=burst, name=name))


async def _settings(app: Litestar, overrides: Mapping[str, Any]) -> WorkerConfig:
    return replace(settings_of(app).worker, **overrides)


async def _work(
    app: Litestar, overrides: Mapping[str, Any], *, burst: bool, name: str | None
) -> None:
    with without_app_worker():
        async with app.lifespan():
            await run_worker(app.state[STATE_KEY], burst=burst, name=name, **overrides)


def _command(
    env: LitestarEnv,
    overrides: Mapping[str, Any],
    *,
    burst: bool,
    name: str | None,
    log_level: str,
) -> list[str]:
    """Return the command line of one of several processes."""
    command = [sys.executable, "-m", "litestar", "--app", env.app_path, "--app-dir", str(env.cwd)]
    command += ["queues", "worker", f"--log-level={log_level}"]
    command += ["--burst"] if burst else []
    command += [f"--name={name}"] if name else []
    for option, value in overrides.items():
        if option != "processes":
            flag = "--queue" if option == "queues" else f"--{option.replace('_', '-')}"
            values = cast("tuple[object, ...]", value if isinstance(value, tuple) else (value,))
            command += [f"{flag}={one}" for one in values]
    return command
