"""What commands print: tables for people, JSON for programs."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from litestar_queues_core.model import Job, Status

WIDE = 200

_NUMBER = re.compile(r"[\d,]*\+?")

COLOURS = {
    "pending": "yellow",
    "scheduled": "cyan",
    "running": "blue",
    "running, overdue": "red",
    "dispatched": "blue",
    "completed": "green",
    "failed": "red",
    "cancelled": "magenta",
    "expired": "magenta",
}


def console() -> Console:
    """Return where tables go; what is not a terminal is wide, so that nothing is cut."""
    return Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)


def quiet() -> bool:
    """Return whether nothing but the answer is wanted."""
    return bool(os.getenv("LITESTAR_QUIET_CONSOLE"))


def headline(text: str) -> None:
    """Print a line that says what begins, in the manner of Litestar's own commands."""
    if not quiet() and sys.stdout.isatty():
        console().rule(f"[yellow]{text}", align="left")


def print_json(data: object) -> None:
    """Print *data* for a program."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, fold: bool = False
) -> None:
    """Print rows for people; numbers stand to the right.

    If a terminal is too narrow, it is the last column that suffers.

    Args:
        columns: What stands above them.
        rows: What stands in them; at least one.
        fold: Whether the last column then takes more lines, instead of being cut.
    """
    table = Table(box=SIMPLE_HEAD, header_style="bold", padding=(0, 2, 0, 0), pad_edge=False)
    cells = [[cell(value) for value in row] for row in rows]
    for place, column in enumerate(columns):
        last = place == len(columns) - 1
        folds = fold and last
        numbers = all(_NUMBER.fullmatch(row[place].plain) for row in cells)
        widest = max(len(column), *(row[place].cell_len for row in cells))
        table.add_column(
            column,
            justify="right" if numbers else "left",
            min_width=None if last else widest,
            no_wrap=not folds,
            overflow="fold" if folds else "ellipsis",
        )
    for row in cells:
        table.add_row(*row)
    console().print(table)


def print_fields(fields: Mapping[str, object]) -> None:
    """Print names and values, one per line; those without a value are left out."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in fields.items():
        if value is not None and value not in ("", [], {}):
            table.add_row(name, cell(value))
    console().print(table)


def cell(value: object) -> Text:
    """Return *value* as it stands in a table; never as markup."""
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return Text(text, style=COLOURS.get(text, ""))


def is_overdue(job: Job) -> bool:
    """Return whether *job* still runs although its timeout has passed."""
    timeout, started = job.new.spec.timeout, job.details.started_ms
    if job.status is not Status.RUNNING or not timeout or started is None:
        return False
    return time.time_ns() // 1_000_000 > started + timeout * 1000


def ago(instant_ms: int | None, now_ms: int | None = None) -> str:
    """Return how far an instant is away, roughly: ``3 s ago``, ``in 5 min``."""
    if instant_ms is None:
        return ""
    away = ((now_ms or time.time_ns() // 1_000_000) - instant_ms) / 1000
    return f"{span(away)} ago" if away >= 0 else f"in {span(-away)}"


def span(seconds: float) -> str:
    """Return a duration, roughly."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


@contextmanager
def progress(what: str, total: int | None = None) -> Generator[Callable[[int], None]]:
    """Show on a terminal how far a long command has come.

    Gives a function that is told how much more is done.
    """
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    shown = Console(stderr=True)
    if quiet() or not shown.is_terminal:
        yield lambda _: None
        return
    with Progress(*columns, console=shown, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda number: bar.advance(task, number)
