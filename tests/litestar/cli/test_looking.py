"""``status``, ``list``, ``show``, ``events``."""

from __future__ import annotations

from typing import Any

CommandLine = Any


def test_the_help_names_every_command_and_the_exit_codes(litestar_queues: CommandLine) -> None:
    shown = litestar_queues("--help")

    for command in (
        *("worker", "status", "list", "show", "cancel", "revive", "retry", "schedules", "tick"),
        *("prune", "run-job", "events", "check"),
    ):
        assert f" {command} " in shown
    assert "Exit codes: 0 done; 1" in shown


def test_an_empty_queue(litestar_queues: CommandLine) -> None:
    shown = litestar_queues("status")

    assert f"SQLite at {litestar_queues.directory}/.litestar-queues/queue.db" in shown
    assert "No jobs." in shown
    assert "No workers." in shown
    assert litestar_queues("list") == "No such jobs.\n"


def test_status_counts_jobs_by_queue_and_status(litestar_queues: CommandLine) -> None:
    litestar_queues.enqueue(("note", "a"), ("note", "b"), ("fail",))
    litestar_queues.enqueue(("note", "later"), run_after=600)

    shown = litestar_queues("status")
    said = litestar_queues.json("status")

    lines = [line.split() for line in shown.splitlines()]
    assert ["queue", "pending", "scheduled"] in lines
    assert ["default", "2", "1"] in lines
    assert {"queue": "bad", "status": "pending", "count": 1, "exact": True} in said["counts"]
    assert said["workers"] == []
    assert 0 <= said["oldest_pending_seconds"] < 60


def test_a_list_is_newest_first_and_goes_on_at_a_cursor(litestar_queues: CommandLine) -> None:
    ids = litestar_queues.enqueue(*(("note", str(n)) for n in range(3)))

    first = litestar_queues.json("list", "--limit", "2")
    second = litestar_queues.json("list", "--limit", "2", "--cursor", first["cursor"])

    assert [job["id"] for job in first["jobs"] + second["jobs"]] == ids[::-1]
    assert second["cursor"] is None
    assert f"--cursor {first['cursor']}" in litestar_queues("list", "--limit", "2")


def test_a_cursor_that_is_none_is_refused(litestar_queues: CommandLine) -> None:
    assert "'zz' is no cursor of this store" in litestar_queues.complaint(
        "list", "--cursor", "zz", code=2
    )


def test_a_list_can_be_narrowed(litestar_queues: CommandLine) -> None:
    note, fail = litestar_queues.enqueue(("note", "a"), ("fail",))
    keyed = litestar_queues.enqueue(("note", "b"), key="the-key", run_after=600)

    def listed(*options: str) -> list[str]:
        return [job["id"] for job in litestar_queues.json("list", *options)["jobs"]]

    assert listed("--queue", "bad") == [fail]
    assert listed("--task", "note", "--status", "pending") == [note]
    assert listed("--status", "scheduled") == keyed
    assert listed("--status", "scheduled", "--status", "pending", "--task", "fail") == [fail]
    assert listed("--key", "the-key") == keyed
    assert listed("--text", "fai") == [fail]
    assert "Invalid value for '--status'" in litestar_queues.complaint(
        "list", "--status", "lost", code=2
    )


def test_a_job_is_shown_with_all_there_is(litestar_queues: CommandLine) -> None:
    (done,) = litestar_queues.enqueue(("note", "a"), headers={"from": "me"})
    (failed,) = litestar_queues.enqueue(("fail",))
    litestar_queues("worker", "--burst")

    shown, said = litestar_queues("show", done), litestar_queues.json("show", done)
    assert said["status"] == "completed"
    assert said["arguments"] == {"what": "a"}
    assert said["result"] == "ran a"
    assert said["headers"] == {"from": "me"}
    assert said["description"] == "Notes what it is given."
    assert "arguments" in shown
    assert '{"what": "a"}' in shown

    shown, said = litestar_queues("show", failed), litestar_queues.json("show", failed)
    assert said["error"] == "ValueError: [red]no[/] and no again"
    assert said["errors"][0]["outcome"] == "failed"
    assert "Traceback" in said["errors"][0]["traceback"]
    assert "ValueError: [red]no[/] and no again" in shown
    assert "[red]no[/] and no again" in litestar_queues("list")


def test_an_unknown_job_is_said_to_be_unknown(litestar_queues: CommandLine) -> None:
    shown = litestar_queues.complaint("show", "no-such-id", code=1)

    assert "there is no job 'no-such-id'; it may have been pruned" in shown


def test_events_of_jobs_are_shown_if_the_store_keeps_them(litestar_queues: CommandLine) -> None:
    source = (litestar_queues.directory / "application.py").read_text(encoding="utf-8")
    events = "event_config=QueueEventConfig(enabled=True, history=EventHistoryConfig()), "
    source = source.replace("QueueConfig(worker", f"QueueConfig({events}worker")
    source = source.replace("task\n", "task, QueueEventConfig, EventHistoryConfig\n", 1)
    litestar_queues.write(source)
    note, fail = litestar_queues.enqueue(("note", "a"), ("fail",))
    litestar_queues("worker", "--burst")

    said = litestar_queues.json("events", fail)
    assert [event["type"] for event in said] == ["job.started", "job.failed"]
    assert {event["jobId"] for event in said} == {fail}
    assert [one["jobId"] for one in litestar_queues.json("events", "--type", "job.completed")] == [
        note
    ]
    shown = litestar_queues("events", fail)
    assert "job.failed" in shown
    assert "[red]no[/] and no again" in shown
    assert litestar_queues("events", "--queue", "none") == "No such events.\n"


def test_without_history_it_is_said_how_to_have_it(litestar_queues: CommandLine) -> None:
    assert "QueueEventConfig(history=...)" in litestar_queues("events")
