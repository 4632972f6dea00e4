"""``cancel``, ``revive``, ``prune``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from litestar_queues.backends.sqlite import SQLiteBackendConfig

CommandLine = Any


def statuses(litestar_queues: CommandLine) -> dict[str, str]:
    return {job["id"]: job["status"] for job in litestar_queues.json("list")["jobs"]}


def test_jobs_are_cancelled_by_id(litestar_queues: CommandLine) -> None:
    first, second, kept = litestar_queues.enqueue(("note", "a"), ("note", "b"), ("note", "c"))

    shown = litestar_queues("cancel", first, second)

    assert shown.splitlines() == [f"{first}  cancelled", f"{second}  cancelled"]
    assert statuses(litestar_queues) == {first: "cancelled", second: "cancelled", kept: "pending"}
    assert litestar_queues("cancel", first, code=1) == f"{first}  already_finished\n"
    assert litestar_queues.json("cancel", "nobody", code=1) == {
        "dry_run": False,
        "outcomes": {"not_found": 1},
        "jobs": [{"id": "nobody", "outcome": "not_found"}],
    }


def test_all_that_the_options_describe_is_cancelled(litestar_queues: CommandLine) -> None:
    many = litestar_queues.enqueue(*[("note", str(n)) for n in range(450)])
    other = litestar_queues.enqueue(("note", "later"), queue="slow", run_after=600)
    kept = litestar_queues.enqueue(("fail",))

    dry = litestar_queues("cancel", "--task", "note", "--dry-run")
    assert dry.splitlines() == [
        "450 pending",
        "1 scheduled",
        "A dry run: nothing was changed.",
    ]
    shown = litestar_queues("cancel", "--task", "note", "--queue", "default")
    assert shown == "450 cancelled\n"
    assert litestar_queues("cancel", "--status", "scheduled") == "1 cancelled\n"
    assert litestar_queues("cancel", "--task", "note") == "No such jobs.\n"
    found = litestar_queues.json("status")["counts"]
    assert [one["count"] for one in found if one["status"] == "cancelled"] == [451]
    assert len(many) + len(other) == 451
    assert statuses(litestar_queues)[kept[0]] == "pending"


@pytest.mark.parametrize("command", ["cancel", "revive", "retry"])
def test_it_must_be_said_which_jobs_are_meant(litestar_queues: CommandLine, command: str) -> None:
    for arguments in ([], ["some-id", "--queue", "default"]):
        shown = litestar_queues.complaint(command, *arguments, code=2)
        assert "give job ids, or at least one of --queue, --task and --status" in shown


@pytest.mark.parametrize("command", ["revive", "retry"])
def test_a_failed_job_is_revived_and_runs_again(litestar_queues: CommandLine, command: str) -> None:
    (failed,) = litestar_queues.enqueue(("fail",))
    (waiting,) = litestar_queues.enqueue(("note", "later"), run_after=600)
    litestar_queues("worker", "--burst")

    assert litestar_queues(command, failed) == f"{failed}  revived\n"
    assert statuses(litestar_queues)[failed] == "pending"
    litestar_queues("worker", "--burst")
    assert len(litestar_queues.json("show", failed)["errors"]) == 2
    shown = litestar_queues(command, waiting, code=1)
    assert shown.startswith(f"{waiting}  refused: ")


def test_all_failed_jobs_are_revived(litestar_queues: CommandLine) -> None:
    litestar_queues.enqueue(("fail",), ("fail",), ("note", "a"))
    litestar_queues("worker", "--burst")

    assert "2 failed" in litestar_queues("revive", "--queue", "bad", "--dry-run")
    assert litestar_queues("revive", "--queue", "bad") == "2 revived\n"
    assert sorted(statuses(litestar_queues).values()) == ["completed", "pending", "pending"]
    assert litestar_queues("revive", "--status", "completed") == "1 revived\n"


def test_a_revival_does_not_take_a_key_from_another_job(litestar_queues: CommandLine) -> None:
    (first,) = litestar_queues.enqueue(("note", "a"), key="one")
    litestar_queues("cancel", first)
    (second,) = litestar_queues.enqueue(("note", "b"), key="one")

    shown = litestar_queues("revive", first, code=1)

    assert shown == f"{first}  refused: its key is held by job {second}\n"


@pytest.fixture
def two_days_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let stores that are opened from now on live two days later."""
    open_now = SQLiteBackendConfig.open

    @asynccontextmanager
    async def open_later(self: SQLiteBackendConfig) -> AsyncIterator[Any]:
        async with open_now(self) as store:
            store.shift_clock(2 * 86_400_000)
            yield store

    monkeypatch.setattr(SQLiteBackendConfig, "open", open_later)


def test_what_has_just_ended_is_not_pruned(litestar_queues: CommandLine) -> None:
    litestar_queues.enqueue(("note", "a"))
    litestar_queues("worker", "--burst")

    assert litestar_queues("prune", "--completed", "0") == "0 finished jobs were removed.\n"
    assert litestar_queues.json("prune") == {"pruned": 0}


def test_finished_jobs_are_pruned_by_age_and_number(
    litestar_queues: CommandLine, request: pytest.FixtureRequest
) -> None:
    for calls in ([("note", str(n)) for n in range(5)], [("fail",)]):
        litestar_queues.enqueue(*calls)
        litestar_queues("worker", "--burst")
    request.getfixturevalue("two_days_later")

    assert litestar_queues("prune", "--completed", "3d") == "0 finished jobs were removed.\n"
    assert litestar_queues.json("prune", "--completed", "3d", "--max-finished", "4") == {
        "pruned": 2
    }
    litestar_queues("prune")
    assert list(statuses(litestar_queues).values()) == ["failed"]
    litestar_queues("prune", "--failed", "36h")
    assert statuses(litestar_queues) == {}


def test_a_duration_that_is_none_is_refused(litestar_queues: CommandLine) -> None:
    shown = litestar_queues.complaint("prune", "--failed", "soon", code=2)

    assert "'soon' is no duration; write 90, 90s, 15m, 2h or 7d" in shown
