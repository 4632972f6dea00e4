"""Options that several commands have."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from litestar_queues_core.model import Status

F = TypeVar("F", bound=Callable[..., Any])

_DURATION = re.compile(r"(?P<number>\d+(\.\d+)?)(?P<unit>s|m|h|d|)")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def duration(value: str | float) -> float:
    """Return in seconds what is seconds, or a number with one of the units s, m, h and d."""
    found = _DURATION.fullmatch(str(value))
    if not found:
        raise click.BadParameter(f"{value!r} is no duration; write 90, 90s, 15m, 2h or 7d")
    return float(found["number"]) * _UNITS[found["unit"]]


def as_json(function: F) -> F:
    """Add the option that asks for JSON."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(
        function
    )


def filters(function: F) -> F:
    """Add the options that say which jobs are meant."""
    for option in (
        click.option("--task", help="Only jobs of this task."),
        click.option("--queue", help="Only jobs of this queue."),
        click.option(
            "--status",
            "statuses",
            multiple=True,
            type=click.Choice([str(status) for status in Status]),
            help="Only jobs that stand so; may be repeated.",
        ),
    ):
        function = option(function)
    return function
