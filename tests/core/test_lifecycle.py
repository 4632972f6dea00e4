from __future__ import annotations

from itertools import count, takewhile

import pytest
from hypothesis import example, given, strategies as st

from litestar_queues_core.lanes import is_suspect, ordinary, suspects_of
from litestar_queues_core.lifecycle import (
    KEPT_ATTEMPTS,
    PUT_BACK_CEILING,
    PUT_BACK_FIRST,
    PUT_BACK_TOTAL,
    TRANSITIONS,
    after_failure,
    attempt_record,
    backoff_seconds,
    kept,
    put_back_seconds,
    rescue_failure,
    rescued_lane,
    rescued_status,
    settled_lane,
    settled_status,
)
from litestar_queues_core.model import FINISHED, WAITING, Backoff, Failure, Job, Status
from litestar_queues_core.settlements import Kind
from litestar_queues_core.testing import make_job

WAITING_KINDS = {
    Kind.RETRY,
    Kind.SNOOZE,
    Kind.RELEASE,
    Kind.PUT_BACK,
    Kind.DISPATCH_FAILED,
}
ENDS = {
    Kind.COMPLETE: Status.COMPLETED,
    Kind.FAIL: Status.FAILED,
    Kind.CANCEL: Status.CANCELLED,
    Kind.DISPATCH_CANCELLED: Status.CANCELLED,
}
STEPS = {
    Kind.PROGRESS: Status.RUNNING,
    Kind.DISPATCH: Status.DISPATCHED,
    Kind.DISPATCH_REF: Status.DISPATCHED,
}

kinds = st.sampled_from(Kind)
delays = st.integers(min_value=0, max_value=10**12)
small = st.integers(min_value=0, max_value=100)
lanes = st.sampled_from(["mail", "mail@gpu", "mail~", "mail@gpu~"])
backoffs = st.builds(
    Backoff,
    first=st.floats(0, 1e6),
    factor=st.floats(1, 100),
    ceiling=st.floats(0, 1e6),
    jitter=st.floats(0, 1),
)
draws = st.floats(0, 1, exclude_max=True)


def test_every_kind_has_its_transition() -> None:
    assert set(TRANSITIONS) == set(Kind) == WAITING_KINDS | ENDS.keys() | STEPS.keys()


@given(kind=st.sampled_from(sorted(WAITING_KINDS)), delay_ms=delays)
def test_cancel_beats_waiting(kind: Kind, delay_ms: int) -> None:
    status = settled_status(kind, delay_ms=delay_ms, cancel_requested=True)

    assert status is Status.CANCELLED


@given(kind=st.sampled_from(sorted(WAITING_KINDS)), delay_ms=delays)
def test_what_waits_is_scheduled_if_it_waits_for_a_time(kind: Kind, delay_ms: int) -> None:
    status = settled_status(kind, delay_ms=delay_ms, cancel_requested=False)

    assert status in WAITING
    assert (status is Status.SCHEDULED) is (delay_ms > 0)


@given(kind=st.sampled_from(sorted(ENDS)), delay_ms=delays, cancel_requested=st.booleans())
def test_an_end_stands_whatever_was_requested(
    kind: Kind, delay_ms: int, *, cancel_requested: bool
) -> None:
    status = settled_status(kind, delay_ms=delay_ms, cancel_requested=cancel_requested)

    assert status is ENDS[kind]
    assert status in FINISHED


@given(kind=st.sampled_from(sorted(STEPS)), cancel_requested=st.booleans())
def test_a_step_neither_ends_nor_waits(kind: Kind, *, cancel_requested: bool) -> None:
    assert settled_status(kind, delay_ms=0, cancel_requested=cancel_requested) is STEPS[kind]


def test_only_failures_use_up_attempts() -> None:
    counted = {kind for kind, one in TRANSITIONS.items() if one.attempts}

    assert counted == {Kind.FAIL, Kind.RETRY, Kind.DISPATCH_FAILED}
    assert {kind for kind, one in TRANSITIONS.items() if one.snoozes} == {Kind.SNOOZE}
    assert {kind for kind, one in TRANSITIONS.items() if one.put_backs} == {Kind.PUT_BACK}


@given(kind=kinds, lane=lanes)
def test_only_retry_and_snooze_clear_a_suspect(kind: Kind, lane: str) -> None:
    clears = kind in {Kind.RETRY, Kind.SNOOZE}

    assert settled_lane(kind, lane) == (ordinary(lane) if clears else lane)


@given(lane=lanes)
def test_a_rescued_job_waits_among_the_suspects_of_its_lane(lane: str) -> None:
    assert rescued_lane(lane) == suspects_of(ordinary(lane))
    assert is_suspect(rescued_lane(lane))


@given(rescues=small, max_rescues=small, cancel_requested=st.booleans())
def test_a_rescue_ends_a_job_if_cancelled_or_spent(
    rescues: int, max_rescues: int, *, cancel_requested: bool
) -> None:
    status = rescued_status(
        rescues=rescues, max_rescues=max_rescues, cancel_requested=cancel_requested
    )

    if cancel_requested:
        assert status is Status.CANCELLED
    else:
        assert status is (Status.FAILED if rescues >= max_rescues else Status.PENDING)


def test_a_job_survives_as_many_rescues_as_it_is_allowed() -> None:
    survived = takewhile(
        lambda rescues: (
            rescued_status(rescues=rescues, max_rescues=3, cancel_requested=False) is Status.PENDING
        ),
        count(),
    )

    assert len(list(survived)) == 3


def test_a_rescue_leaves_evidence() -> None:
    rescued = rescue_failure(Status.PENDING, rescues=0, worker="ada")
    quarantined = rescue_failure(Status.FAILED, rescues=3, worker="ada")

    assert rescued.outcome == quarantined.outcome == "rescued"
    assert "'ada'" in rescued.message
    assert "rescue 1" in rescued.message
    assert "quarantined" not in rescued.message
    assert "rescue 4" in quarantined.message
    assert "quarantined" in quarantined.message


@given(backoff=backoffs, attempt=st.integers(1, 10**9), draw=draws)
@example(backoff=Backoff(first=1e300, factor=1e10, ceiling=5.0), attempt=10**6, draw=0.5)
@example(backoff=Backoff(factor=1.0), attempt=1, draw=0.0)
def test_a_wait_is_never_longer_than_the_ceiling(
    backoff: Backoff, attempt: int, draw: float
) -> None:
    wait = backoff_seconds(backoff, attempt, lambda: draw)

    assert 0 <= wait <= backoff.ceiling * (1 + 1e-9)


@given(backoff=backoffs, attempt=st.integers(1, 1000), draw=draws)
def test_jitter_takes_away_its_part_and_no_more(
    backoff: Backoff, attempt: int, draw: float
) -> None:
    whole = backoff_seconds(backoff, attempt, lambda: 1.0)
    wait = backoff_seconds(backoff, attempt, lambda: draw)

    assert whole * (1 - backoff.jitter) * (1 - 1e-9) <= wait <= whole * (1 + 1e-9)


@given(backoff=backoffs, attempt=st.integers(1, 1000))
def test_waits_grow(backoff: Backoff, attempt: int) -> None:
    first, second = (backoff_seconds(backoff, attempt + one, lambda: 1.0) for one in (0, 1))

    assert first <= second * (1 + 1e-9)


def test_waits_double_by_default() -> None:
    waits = [backoff_seconds(Backoff(jitter=0.0), one, lambda: 0.5) for one in range(1, 15)]

    assert waits[:5] == [1, 2, 4, 8, 16]
    assert waits[-2:] == [3600, 3600]


def test_full_jitter_waits_anything_from_zero() -> None:
    backoff = Backoff(first=8.0)

    assert backoff_seconds(backoff, 1, lambda: 0.0) == 0
    assert backoff_seconds(backoff, 1, lambda: 0.25) == 2


@given(attempt=small, retries=small, retryable=st.booleans())
def test_a_failure_is_retried_while_attempts_are_left(
    attempt: int, retries: int, *, retryable: bool
) -> None:
    new = make_job(retries=retries)
    job = Job(new=new, status=Status.RUNNING, lane="default", due_ms=0, attempt=attempt)

    kind = after_failure(job, retryable=retryable)

    assert kind is (Kind.RETRY if retryable and attempt < retries else Kind.FAIL)


def test_a_job_without_retries_has_one_attempt() -> None:
    job = Job(new=make_job(), status=Status.RUNNING, lane="default", due_ms=0)

    assert after_failure(job, retryable=True) is Kind.FAIL


def test_put_back_waits_double_up_to_five_minutes_and_end_after_an_hour() -> None:
    waits = [wait for wait in map(put_back_seconds, range(200)) if wait is not None]

    assert waits[:4] == [PUT_BACK_FIRST, 10, 20, 40]
    assert waits == sorted(waits)
    assert max(waits) == PUT_BACK_CEILING
    assert sum(waits[:-1]) < PUT_BACK_TOTAL <= sum(waits)


@given(st.integers(min_value=0, max_value=10**9))
def test_once_given_up_a_job_stays_given_up(put_backs: int) -> None:
    if put_back_seconds(put_backs) is None:
        assert put_back_seconds(put_backs + 1) is None


@pytest.mark.parametrize("number", [0, 1, KEPT_ATTEMPTS, KEPT_ATTEMPTS + 5])
def test_the_last_ten_records_are_kept(number: int) -> None:
    records = [
        attempt_record(
            Failure(outcome="failed"), delivery=one, worker="w", started_ms=0, finished_ms=0
        )
        for one in range(number)
    ]

    assert kept(records) == records[max(0, number - 10) :]


def test_a_record_says_what_the_worker_and_the_store_know() -> None:
    failure = Failure(outcome="timed out", type="T", message="m", traceback="tb")

    record = attempt_record(failure, delivery=3, worker="ada", started_ms=5, finished_ms=9)

    assert (record.outcome, record.type, record.message) == ("timed out", "T", "m")
    assert record.traceback == "tb"
    assert (record.delivery, record.worker) == (3, "ada")
    assert (record.started_ms, record.finished_ms) == (5, 9)
