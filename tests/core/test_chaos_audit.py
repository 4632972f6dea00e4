"""What the chaos runner counts: each broken promise is seen, and nothing else is called one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import pytest

from litestar_queues_core.ids import JobId
from litestar_queues_core.model import AttemptRecord, Job, JobDetails, NewJob, Status
from litestar_queues_core.requests import encode_result
from litestar_queues_core.serializer import JsonSerializer
from litestar_queues_core.testing import make_spec
from litestar_queues_core.testing.chaos.audit import PROMISES, Audit, Figures
from litestar_queues_core.testing.chaos.evidence import Evidence
from litestar_queues_core.testing.chaos.faults import Window
from litestar_queues_core.testing.chaos.fleet import Death
from litestar_queues_core.testing.chaos.notes import Note, What
from litestar_queues_core.testing.chaos.work import work

EPOCH_MS = round((time.time() - time.monotonic()) * 1000)
"""Added to milliseconds of the monotonic clock, gives those of stores."""


class Case:
    """One job that was run twice: a worker died, another completed it.  Tests alter it."""

    def __init__(self) -> None:
        self.id = JobId("job-1")
        self.notes = [
            Note(What.ACKNOWLEDGED, 1, 10.0, self.id),
            Note(What.STARTED, 100, 11.0, self.id, 1),
            Note(What.STARTED, 200, 20.0, self.id, 2),
            Note(What.RETURNED, 200, 21.0, self.id, 2),
            Note(What.ANNOUNCED, 200, 21.1, self.id, 2),
        ]
        self.status = Status.COMPLETED
        self.result = 2
        self.errors = [attempt(1, 100, "rescued", 11.0, 19.0)]
        self.deaths = {100: Death(12.0, -9, wanted=True)}
        self.windows: list[Window] = []
        self.known = True
        self.keeper = True

    def figures(self) -> Figures:
        evidence = Evidence()
        for note in sorted(self.notes, key=lambda note: note.moment):
            evidence.add(note)
        evidence.close(self.windows, self.deaths)
        records = {self.id: self.record() if self.known else None}
        for other in evidence.jobs:
            records.setdefault(JobId(other), self.record(JobId(other)))
        return Audit(evidence, records, keeper=self.keeper).run()

    def record(self, job_id: JobId | None = None) -> Job:
        details = JobDetails(
            result=encode_result(work, self.result, JsonSerializer(), limit=1000),
            errors=self.errors,
        )
        new = NewJob(id=job_id or self.id, spec=make_spec(), payload=b"")
        return Job(new, self.status, "default", 0, delivery=2, details=details)


def attempt(delivery: int, pid: int, outcome: str, began: float, ended: float) -> AttemptRecord:
    return AttemptRecord(
        delivery=delivery,
        worker=f"chaos-{pid}",
        started_ms=EPOCH_MS + round(began * 1000),
        finished_ms=EPOCH_MS + round(ended * 1000),
        outcome=outcome,
    )


def broken(figures: Figures) -> dict[str, int]:
    found = {promise: getattr(figures, promise) for promise in PROMISES}
    return {promise: number for promise, number in found.items() if number}


def test_a_job_that_was_rescued_from_a_killed_worker_breaks_nothing() -> None:
    figures = Case().figures()

    assert broken(figures) == {}
    assert (figures.enqueued, figures.completed) == (1, 1)
    assert figures.run_again == {"rescued": 1}


def alter(*changes: tuple[str, object]) -> Callable[[Case], None]:
    def change(case: Case) -> None:
        for name, value in changes:
            setattr(case, name, value)

    return change


def announced_twice(case: Case) -> None:
    case.notes.append(Note(What.ANNOUNCED, 300, 22.0, case.id, 2))


def settled_under_one_fence_twice(case: Case) -> None:
    case.errors.append(attempt(2, 200, "failed", 20.0, 21.0))


def started_twice(case: Case) -> None:
    case.notes.append(Note(What.STARTED, 200, 21.5, case.id, 2))
    case.notes.append(Note(What.RETURNED, 200, 21.6, case.id, 2))


def never_returned(case: Case) -> None:
    case.notes = [note for note in case.notes if note.what is not What.RETURNED]
    case.deaths[200] = Death(20.5, -9, wanted=True)


CASES: dict[str, tuple[Callable[[Case], None], Sequence[str]]] = {
    "an acknowledged job is not known": (alter(("known", False)), ["lost"]),
    "a job has not ended": (alter(("status", Status.PENDING)), ["stuck"]),
    "a job has failed": (alter(("status", Status.FAILED)), ["ended_otherwise"]),
    "a completion is announced twice": (announced_twice, ["settled_twice"]),
    "a delivery has two endings": (settled_under_one_fence_twice, ["settled_twice"]),
    "a late result was recorded": (alter(("result", 1)), ["wrong_result"]),
    "a completed job has never returned": (never_returned, ["wrong_result"]),
    "a delivery was started twice": (started_twice, ["started_twice", "unexplained"]),
    "nothing says why it ran again": (alter(("errors", [])), ["unexplained"]),
    "its worker was well": (alter(("deaths", {})), ["taken_from_healthy"]),
    "its worker had ended in an orderly way": (
        alter(("deaths", {100: Death(12.0, 0, wanted=True)})),
        ["taken_from_healthy"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_broken_promise_is_counted_when(name: str) -> None:
    change, promises = CASES[name]
    case = Case()
    change(case)

    figures = case.figures()

    assert sorted(broken(figures)) == sorted(promises)
    assert {what.partition(":")[0] for what in figures.broken} == set(promises)


@pytest.mark.parametrize(
    ("window", "keeper", "excused"),
    [
        (Window("stop", 100, 12.0, 18.0), True, True),
        (Window("stop", 200, 12.0, 18.0), True, False),
        (Window("stop", 100, 30.0, 36.0), True, False),
        (Window("disk", 0, 12.0, 18.0), True, True),
        (Window("block", 100, 12.0, 18.0), True, False),
        (Window("block", 100, 12.0, 18.0), False, True),
    ],
)
def test_a_job_may_be_taken_only_if_something_was_wrong_with_its_worker_at_that_time(
    window: Window, *, keeper: bool, excused: bool
) -> None:
    case = Case()
    case.deaths, case.windows, case.keeper = {}, [window], keeper

    assert broken(case.figures()) == ({} if excused else {"taken_from_healthy": 1})


def test_an_overlap_with_code_of_a_dead_lease_is_counted_apart() -> None:
    case = Case()
    case.deaths, case.windows = {}, [Window("stop", 100, 12.0, 20.2)]
    case.notes.append(Note(What.INTERRUPTED, 100, 20.25, case.id, 1))

    figures = case.figures()

    assert broken(figures) == {}
    assert (figures.overlaps_dead, figures.overlaps_dead_seconds) == (1, 0.25)


def test_an_overlap_with_code_of_a_live_lease_breaks_a_promise() -> None:
    case = Case()
    case.errors = [attempt(1, 100, "failed", 11.0, 19.0)]
    case.deaths = {100: Death(20.5, -9, wanted=True)}

    assert broken(case.figures()) == {"overlaps": 1}


def test_two_jobs_of_one_key_must_not_run_at_a_time() -> None:
    case = Case()
    case.notes[0] = case.notes[0]._replace(detail="key-1")
    case.notes += [
        Note(What.ACKNOWLEDGED, 1, 10.5, "job-2", detail="key-1"),
        Note(What.STARTED, 300, 20.5, "job-2", 2),
        Note(What.RETURNED, 300, 20.9, "job-2", 2),
    ]

    assert broken(case.figures()) == {"overlaps": 1}


def test_a_job_that_was_kept_and_whose_producer_died_is_no_broken_promise() -> None:
    case = Case()
    del case.notes[0]

    figures = case.figures()

    assert broken(figures) == {}
    assert (figures.enqueued, figures.unanswered, figures.completed) == (0, 1, 1)
