"""Schedules as rows: a rule, a complete job template, and the next instant."""

from __future__ import annotations

from collections.abc import Sequence

from litestar_queues_core._record import record
from litestar_queues_core.model import NewJob


@record
class Schedule:
    """A rule in the code.

    Attributes:
        key: ``schedule:<task name>``, with several rules ``schedule:<task name>:<n>``.
        rule: The rule as text, evaluated by the core.
        template: The job to make; its id is replaced and its due instant set at each firing.
        max_instances: At most one waiting job plus running ones, so many in all.
        missed: ``run_once``, ``skip`` or ``catch_up``.
    """

    key: str
    rule: str
    template: NewJob
    max_instances: int = 1
    missed: str = "run_once"


@record
class ScheduleRow:
    """A schedule as its store keeps it."""

    schedule: Schedule
    version: int
    owner: str
    app_version: int
    next_ms: int
    paused: bool = False
    skipped: int = 0


@record
class DueSchedule:
    """A row that needs a job."""

    row: ScheduleRow
    last_finished_ms: int | None = None
    unfinished: int = 0


@record
class Firing:
    """The advance of a row from one instant to the next.

    Attributes:
        key: The row.
        version: The version that the row must still have.
        expected_ms: The instant that the row must still have.
        next_ms: The instant it gets.
        job: The job to insert; ``None`` only records skipped instants.
        skipped: How many instants passed without a job.
    """

    key: str
    version: int
    expected_ms: int
    next_ms: int
    job: NewJob | None = None
    skipped: int = 0


@record
class ScheduleChanges:
    """What bringing rows into line with the code did: keys."""

    created: Sequence[str] = ()
    replaced: Sequence[str] = ()
    removed: Sequence[str] = ()
    kept: Sequence[str] = ()
