"""What ``check`` says of tasks that should run by themselves."""

from __future__ import annotations

from typing import Any

CommandLine = Any

SCHEDULED = """

@task("cleanup", cron="0 2 * * *")
async def cleanup() -> None: ...


@task("sync", interval=60)
async def sync() -> None: ...
"""


def schedule(litestar_queues: CommandLine, *, settings: str = "") -> None:
    source = (litestar_queues.directory / "application.py").read_text(encoding="utf-8")
    source = source.replace("QueueConfig(worker", f"QueueConfig({settings}worker")
    litestar_queues.write(source + SCHEDULED)


def test_a_schedule_that_stops_the_start_is_a_problem(litestar_queues: CommandLine) -> None:
    schedule(litestar_queues)

    (said,) = litestar_queues.json("check", code=1)

    assert said["level"] == "problem"
    assert said["about"] == "abilities"
    assert (
        "cron= of task 'cleanup' needs a store with the ability SupportsSchedules"
        in (said["message"])
    )
    assert "which SQLiteStore lacks" in litestar_queues.complaint("list", code=4)


def test_schedules_that_nobody_keeps_are_a_warning(litestar_queues: CommandLine) -> None:
    schedule(litestar_queues, settings="initialize_schedules=False, ")

    found = {one["about"]: one for one in litestar_queues.json("check")}

    assert found["schedules"]["level"] == "warning"
    assert found["schedules"]["message"] == (
        "cleanup, sync do not run by themselves: SQLiteStore keeps no schedules"
    )


def test_without_schedules_there_is_nothing_to_say_of_them(litestar_queues: CommandLine) -> None:
    assert "schedules" not in [one["about"] for one in litestar_queues.json("check")]
