"""The command line of the chaos runner."""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from litestar_queues_core.errors import QueueError
from litestar_queues_core.exits import WRONG
from litestar_queues_core.testing.chaos.disk import run_apart, unmount_below
from litestar_queues_core.testing.chaos.faults import FAULTS
from litestar_queues_core.testing.chaos.report import Report
from litestar_queues_core.testing.chaos.runner import Runner
from litestar_queues_core.testing.chaos.settings import Settings

MODULE = "litestar_queues_core.testing.chaos"
APART = "--apart"
OPTIONS = (
    "store",
    "faults",
    "seed",
    "seconds",
    "jobs_per_second",
    "workers",
    "lease",
    "patience",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; 1 if a promise was broken."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(arguments)
    no_disk = ""
    if "disk" in options.faults and not options.apart:
        no_disk = run_apart([sys.executable, "-m", MODULE, *arguments, APART])
    try:
        report = _run(options, no_disk)
    except QueueError as error:
        sys.stderr.write(f"error: {error}\n")
        return WRONG
    print(json.dumps(report.as_json(), indent=2) if options.json else report)
    return 0 if report.kept else 1


def _run(options: argparse.Namespace, no_disk: str) -> Report:
    settings = Settings(**{name: getattr(options, name) for name in OPTIONS})
    verbose = options.verbose or sys.stderr.isatty()
    with _workspace() as workspace:
        runner = Runner(settings, workspace, no_disk=no_disk, tell=_tell if verbose else _say_not)
        report = asyncio.run(runner.run())
        if options.keep or not report.kept:
            kept = Path(tempfile.mkdtemp(prefix="chaos-kept-"))
            shutil.copytree(workspace, kept, dirs_exist_ok=True)
            sys.stderr.write(f"what was left of it is kept in {kept}\n")
    return report


@contextmanager
def _workspace() -> Generator[Path]:
    """Make a directory, and leave nothing of it."""
    workspace = Path(tempfile.mkdtemp(prefix="chaos-"))
    try:
        yield workspace
    finally:
        unmount_below(workspace)
        shutil.rmtree(workspace)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _say_not(line: str) -> None:
    """Say nothing: nobody looks."""


def _faults(text: str) -> list[str]:
    names = list(FAULTS) if text == "all" else text.split(",")
    unknown = [name for name in names if name not in FAULTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no fault {unknown[0]!r}")
    return names


def _parser() -> argparse.ArgumentParser:
    explained = "\n".join(f"  {name:7} {what}" for name, what in FAULTS.items())
    parser = argparse.ArgumentParser(
        prog=f"python -m {MODULE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Run workers and producers as processes of their own, let things go wrong, and "
        "then\ncount what was lost, is stuck, was settled twice or run without need.",
        epilog=f"faults:\n{explained}\n\n"
        "What a store cannot have is skipped, and named in the report.  The exit code is 1 if a\n"
        "promise was broken; then notes and logs are kept.",
    )
    add = parser.add_argument
    add("--store", required=True, help="sqlite, another known target, or module:attribute")
    add("--faults", type=_faults, default="all", metavar="A,B", help="which (default: all)")
    add("--seed", type=int, default=0, metavar="N", help="decides what happens when (default: 0)")
    add("--seconds", type=float, default=60.0, metavar="S", help="how long (default: 60)")
    add("--jobs-per-second", type=float, default=20.0, metavar="R", help="default: 20")
    add("--workers", type=int, default=3, metavar="N", help="worker processes (default: 3)")
    add("--lease", type=float, default=3.0, metavar="S", help="default: 3")
    add(
        "--patience",
        type=float,
        default=120.0,
        metavar="S",
        help="how long all jobs may take to end afterwards (default: 120)",
    )
    add("--json", action="store_true", help="print JSON")
    add("--keep", action="store_true", help="keep notes and logs in any case")
    add("--verbose", action="store_true", help="tell how far it is, terminal or not")
    add(APART, action="store_true", help=argparse.SUPPRESS)
    return parser
