"""When claims begin where the last one ended."""

from __future__ import annotations

import pytest

from litestar_queues_core.model import Job, JobDetails, Status
from litestar_queues_core.settlements import Wants
from litestar_queues_core.testing import make_job
from litestar_queues_sql.postgres.lanes import START, Lanes
from litestar_queues_sql.postgres.pace import KNOWN_AFTER, TRIES, Pace


def claim(pace: Pace, *, whole: float, cursor: float, times: int) -> list[bool]:
    """Claim so often, and return which claims used a cursor."""
    used: list[bool] = []
    for _ in range(times):
        used.append(pace.uses_cursor())
        pace.took(cursor if used[-1] else whole, cursor=used[-1])
    return used


def test_claims_that_are_fast_use_no_cursor() -> None:
    assert not any(claim(Pace(), whole=0.005, cursor=0.005, times=500))


def test_a_few_slow_claims_say_nothing() -> None:
    pace = Pace()

    assert not any(claim(pace, whole=0.001, cursor=0.001, times=KNOWN_AFTER // 2))
    assert not any(claim(pace, whole=1.0, cursor=0.001, times=KNOWN_AFTER // 4))


def test_a_cursor_is_used_once_it_has_been_seen_to_help() -> None:
    pace = Pace()
    claim(pace, whole=0.005, cursor=0.005, times=2 * KNOWN_AFTER)

    tried = claim(pace, whole=0.1, cursor=0.005, times=100)

    assert pace.slow
    assert sum(tried) > TRIES
    assert all(claim(pace, whole=0.1, cursor=0.005, times=50))


def test_a_cursor_that_does_not_help_is_not_kept() -> None:
    pace = Pace()
    claim(pace, whole=0.005, cursor=0.005, times=2 * KNOWN_AFTER)

    used = claim(pace, whole=0.1, cursor=0.1, times=200)

    assert not pace.slow
    assert sum(used) <= len(used) / 2


def test_claims_from_the_beginning_go_on_and_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("litestar_queues_sql.postgres.pace.time.monotonic", lambda: now)
    pace = Pace()
    claim(pace, whole=0.005, cursor=0.005, times=2 * KNOWN_AFTER)
    claim(pace, whole=0.1, cursor=0.005, times=100)
    assert pace.slow

    wholes = 0
    for _ in range(100):
        now += 0.5
        wholes += claim(pace, whole=0.1, cursor=0.005, times=1).count(False)
    for _ in range(100):
        now += 0.5
        claim(pace, whole=0.005, cursor=0.005, times=1)

    assert 10 < wholes < 50
    assert not pace.slow


def test_what_comes_back_into_a_lane_is_not_overlooked() -> None:
    lanes = Lanes()
    new = make_job(queue="mail")
    lanes.claimed([Job(new, Status.RUNNING, "mail", 5, details=JobDetails())], Wants(limit=1))
    assert lanes.cursors["mail"] == (0, 5, new.id)

    lanes.came_back(["lane:mail", f"job:{new.id}"])

    assert lanes.cursors.get("mail", START) == START
