"""The command line of the core."""

from __future__ import annotations

import argparse
import asyncio
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from litestar_queues_core._version import __version__
from litestar_queues_core.config import WorkerConfig
from litestar_queues_core.errors import QueueError, TaskModuleError
from litestar_queues_core.exits import INTERRUPTED, exit_code
from litestar_queues_core.logs import log_plainly
from litestar_queues_core.service import QueueService
from litestar_queues_core.target import TargetError, load, service_of
from litestar_queues_core.worker.standalone import refuse_memory, run_worker
from litestar_queues_core.worker.supervisor import place, run_supervised, watch_parent

PROGRAM = "python -m litestar_queues_core"

TARGET = """\
module:attribute; modules of the working directory are found.
It is one of
  a QueueService, not opened yet
  a QueueConfig
  a function without arguments, also an async one, or an async
    context manager, which gives one of the two; what a context
    manager opens stays open as long as the worker runs
"""
CODES = """\
exit codes:
  0    told to stop and did, or the burst is over, or --max-jobs or --max-memory was reached
  1    jobs could not be stopped in time, or, with several processes, one crashed during a burst
       or had to be killed
  2    wrong arguments or settings; the message says which
  3    the store cannot be used
  4    the store lacks an ability that a setting needs
  70   the event loop was silent for too long (WorkerConfig.stall_limit)
  130  interrupted before the worker had started

The first SIGTERM or Ctrl-C lets running jobs finish for --grace seconds, each further one takes
the next step at once: stop what runs, leave.  With --processes, a process that ends is replaced.
"""
OVERRIDES = (
    "concurrency",
    "grace",
    "lease",
    "max_jobs",
    "max_memory",
    "poll_interval",
    "processes",
    "queues",
    "sync_threads",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit code.

    Args:
        arguments: What follows the program's name; by default that of this process.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(arguments)
    watch_parent()
    log_plainly(options.log_level.upper())
    try:
        return _work(options, arguments)
    except QueueError as error:
        if isinstance(error, TargetError | TaskModuleError) and error.__cause__ is not None:
            traceback.print_exception(error.__cause__)
        sys.stderr.write(f"error: {error}\n")
        return exit_code(error)
    except KeyboardInterrupt:
        return INTERRUPTED


def _work(options: argparse.Namespace, arguments: Sequence[str]) -> int:
    overrides = {
        option: getattr(options, option)
        for option in OVERRIDES
        if getattr(options, option) is not None
    }
    settings = asyncio.run(_run(options, overrides))
    if settings is None:
        return 0
    return run_supervised(
        [sys.executable, "-m", "litestar_queues_core", *arguments],
        processes=settings.processes,
        grace=float(settings.grace),  # type: ignore[arg-type]
        burst=options.burst,
    )


async def _run(options: argparse.Namespace, overrides: dict[str, Any]) -> WorkerConfig | None:
    """Run the worker here, or return the settings of those that are to run under a supervisor."""
    async with service_of(load(options.target), options.target) as service:
        refuse_memory(service.config)
        settings = replace(service.config.worker, **overrides)
        if settings.processes > 1 and not watch_parent():
            return settings
        if service.loop is not None:
            await _run_here(service, options, overrides)
            return None
        async with service:
            await _run_here(service, options, overrides)
    return None


async def _run_here(
    service: QueueService, options: argparse.Namespace, overrides: dict[str, Any]
) -> None:
    number = place()
    name = f"{options.name}-{number}" if options.name and number else options.name
    await run_worker(service, burst=options.burst, name=name, **overrides)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description="Background jobs.")
    parser.add_argument(
        "--version", action="version", version=f"litestar-queues-core {__version__}"
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    worker = commands.add_parser(
        "worker",
        help="run jobs",
        description="Run the jobs of a queue until told to stop.",
        epilog=CODES,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    worker.add_argument("target", help=TARGET)
    _add_options(worker)
    return parser


def _add_options(worker: argparse.ArgumentParser) -> None:
    add = worker.add_argument
    add("--queue", dest="queues", action="append", metavar="NAME", help="only this (repeatable)")
    add("--concurrency", type=int, metavar="N", help="jobs at the same time, per process")
    add("--processes", type=int, metavar="N", help="worker processes")
    add("--burst", action="store_true", help="exit once nothing is left to do now")
    add("--lease", type=float, metavar="SECONDS", help="silence after which a process is dead")
    add("--grace", type=float, metavar="SECONDS", help="time to finish when told to stop")
    add("--sync-threads", type=int, metavar="N", help="threads for sync tasks, per process")
    add("--poll-interval", type=float, metavar="SECONDS", help="longest rest between two looks")
    add("--max-jobs", type=int, metavar="N", help="end a process after so many jobs")
    add("--max-memory", type=int, metavar="MIB", help="end a process that holds so much")
    add("--name", help="name of the worker; with --processes, the beginning of it")
    levels = ("debug", "info", "warning", "error")
    add("--log-level", choices=levels, default="info", help="default: info")
