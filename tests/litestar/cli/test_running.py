"""``worker``, ``run-job``, ``check``, and what has no place in this version."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from litestar_queues import QueueService, Worker
from litestar_queues.cli.exits import run
from litestar_queues.cli.output import headline

CommandLine = Any


def test_a_burst_runs_what_there_is_and_ends(litestar_queues: CommandLine) -> None:
    ids = litestar_queues.enqueue(("note", "a"), ("note", "b"))
    later = litestar_queues.enqueue(("note", "later"), run_after=600)

    litestar_queues("worker", "--burst")

    assert sorted(litestar_queues.app.RAN) == ["a", "b"]
    jobs = {job["id"]: job["status"] for job in litestar_queues.json("list")["jobs"]}
    assert jobs == {**dict.fromkeys(ids, "completed"), later[0]: "scheduled"}
    assert litestar_queues.json("status")["workers"] == []


def test_a_worker_can_be_given_its_queues_and_a_name(litestar_queues: CommandLine) -> None:
    litestar_queues.enqueue(("note", "a"), queue="one")
    litestar_queues.enqueue(("note", "b"), queue="two")
    litestar_queues.enqueue(("note", "c"), queue="three")

    litestar_queues(
        *("worker", "--burst", "--queue", "one", "-q", "two", "--name", "the-worker"),
        *("--concurrency", "1", "--lease", "1m", "--grace", "1", "--max-jobs", "5"),
    )

    assert sorted(litestar_queues.app.RAN) == ["a", "b"]
    done = litestar_queues.json("list", "--status", "completed")["jobs"]
    assert {job["worker"] for job in done} == {"the-worker"}


@pytest.fixture
def _signals_do_not_end_the_tests() -> Iterator[None]:
    def complain(number: int, _: object) -> None:
        raise AssertionError(f"nobody heeded signal {number}")

    before = signal.signal(signal.SIGTERM, complain)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("_signals_do_not_end_the_tests")
def test_the_first_signal_lets_a_running_job_finish(litestar_queues: CommandLine) -> None:
    (job,) = litestar_queues.enqueue(("interrupt",))

    litestar_queues("worker")

    assert litestar_queues.json("show", job)["result"] == "finished all the same"


def test_a_command_that_is_interrupted_says_so_by_its_code() -> None:
    async def interrupted() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(30)

    with pytest.raises(SystemExit) as ended:
        run(interrupted())

    assert ended.value.code == 130


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--concurrency", "0"), "WorkerConfig.concurrency must be a whole number from 1 to"),
        (("--lease", "0.1"), "WorkerConfig.lease must be seconds or a timedelta of at least 0.5"),
        (("--queue", "no spaces"), "a queue of WorkerConfig must be 1 to 100 letters"),
        (("--grace", "later"), "'later' is no duration"),
        (("--jobs", "1"), "No such option"),
    ],
)
def test_a_wrong_option_is_refused(
    litestar_queues: CommandLine, options: tuple[str, str], message: str
) -> None:
    assert message in litestar_queues.complaint("worker", *options, code=2)


@pytest.mark.parametrize(
    ("plugin", "where"),
    [
        ("QueuePlugin(testing=True)", "QueuePlugin(testing=True)"),
        ("QueuePlugin(QueueConfig(queue_backend='memory'))", "QueueConfig.queue_backend"),
    ],
)
@pytest.mark.parametrize("command", ["worker", "status", "check"])
def test_jobs_in_memory_are_out_of_reach_of_a_command(
    litestar_queues: CommandLine, plugin: str, where: str, command: str
) -> None:
    litestar_queues.write(
        "from litestar import Litestar\n"
        "from litestar_queues import QueueConfig, QueuePlugin\n"
        f"app = Litestar(plugins=[{plugin}], logging_config=None)\n"
    )

    shown = litestar_queues.complaint(command, code=2)

    assert f"this application keeps its jobs in memory ({where})" in shown
    assert "use a queue backend that processes share, for example SQLite, the default" in shown


def test_an_error_while_the_application_starts_is_a_message(litestar_queues: CommandLine) -> None:
    litestar_queues.write(
        "from litestar import Litestar\n"
        "from litestar_queues import ConfigError, QueuePlugin\n"
        "def fail():\n"
        "    raise ConfigError('this cannot work; do that instead')\n"
        "app = Litestar(on_startup=[fail], plugins=[QueuePlugin()], logging_config=None)\n"
    )

    shown = litestar_queues.complaint("worker", "--burst", code=2)

    assert "this cannot work; do that instead" in shown


def test_a_file_that_is_no_database_is_a_message(litestar_queues: CommandLine) -> None:
    file = litestar_queues.directory / ".litestar-queues" / "queue.db"
    file.parent.mkdir()
    file.write_bytes(b"something else" * 1000)

    for command in (["status"], ["worker", "--burst"], ["check"]):
        shown = litestar_queues.complaint(*command, code=3)
        assert "is not a SQLite database" in shown
        assert "move it away, restore a copy, or name another file" in shown
    assert file.read_bytes().startswith(b"something else")


def test_a_directory_that_cannot_be_made_is_a_message(litestar_queues: CommandLine) -> None:
    (litestar_queues.directory / ".litestar-queues").write_text("in the way", encoding="utf-8")

    shown = litestar_queues.complaint("status", code=2)

    assert "cannot make the directory" in shown
    assert "SQLiteBackendConfig(path=...)" in shown
    assert "LITESTAR_QUEUES_SQLITE_PATH" in shown


def test_a_schema_from_the_future_is_a_message(litestar_queues: CommandLine) -> None:
    litestar_queues.enqueue(("note", "a"))
    with closing(sqlite3.connect(".litestar-queues/queue.db")) as file, file:
        file.execute("UPDATE litestar_queues_schema SET version = 99, oldest_reader = 99")

    shown = litestar_queues.complaint("worker", "--burst", code=3)

    assert "version 99" in shown
    assert "upgrade" in shown
    (said,) = litestar_queues.json("check", code=3)
    assert (said["level"], said["about"]) == ("problem", "store")
    assert "version 99" in said["message"]


def test_check_tells_what_the_store_finds(litestar_queues: CommandLine) -> None:
    litestar_queues.enqueue()
    with closing(sqlite3.connect(".litestar-queues/queue.db")) as file, file:
        file.execute("UPDATE litestar_queues_schema SET version = 99")
        file.execute("DROP INDEX litestar_queues_job_ready")

    shown = " ".join(litestar_queues("check", code=1).split())
    said = {one["about"]: one for one in litestar_queues.json("check", code=1)}

    assert "warning schema: the tables have schema version 99, this library has" in shown
    assert "problem indexes: table litestar_queues_job has no index on (lane, job_rank" in shown
    assert said["schema"]["fix"] == "upgrade litestar-queues-sql here, too"
    assert said["indexes"]["fix"].startswith("execute CREATE INDEX litestar_queues_job_ready ON")
    assert said["integrity"]["level"] == "ok"


def test_a_task_module_that_cannot_be_imported_is_a_message(litestar_queues: CommandLine) -> None:
    (litestar_queues.directory / "bad_tasks.py").write_text("1 / 0", encoding="utf-8")
    litestar_queues.write(
        "from litestar import Litestar\n"
        "from litestar_queues import QueueConfig, QueuePlugin\n"
        "config = QueueConfig(task_modules=['bad_tasks'])\n"
        "app = Litestar(plugins=[QueuePlugin(config)], logging_config=None)\n"
    )

    for command in (["status"], ["worker", "--burst"]):
        shown = litestar_queues.complaint(*command, code=2)
        assert "cannot import the task module 'bad_tasks': ZeroDivisionError" in shown


def test_one_job_is_run_and_those_before_it_are_not(litestar_queues: CommandLine) -> None:
    first, wanted, last = litestar_queues.enqueue(("note", "a"), ("note", "b"), ("note", "c"))

    shown = litestar_queues("run-job", wanted)

    assert shown == f"note {wanted} is completed, result: 'ran b'\n"
    assert litestar_queues.app.RAN == ["b"]
    before = litestar_queues.json("show", first)
    assert (before["status"], before["attempt"], before["errors"]) == ("pending", 0, [])
    assert litestar_queues.json("show", last)["status"] == "pending"
    litestar_queues("worker", "--burst")
    assert litestar_queues.app.RAN == ["b", "a", "c"]


def test_one_job_that_fails_is_recorded_as_such(litestar_queues: CommandLine) -> None:
    litestar_queues.enqueue(("fail",))
    (failing,) = litestar_queues.enqueue(("fail",))

    said = litestar_queues.json("run-job", failing, code=1)

    assert said["status"] == "failed"
    assert said["error"] == "ValueError: [red]no[/] and no again"
    assert litestar_queues.json("show", failing)["status"] == "failed"


def test_a_job_that_cannot_be_run_now_is_left_alone(litestar_queues: CommandLine) -> None:
    (later,) = litestar_queues.enqueue(("note", "a"), run_after=600)
    ids = litestar_queues.enqueue(*[("note", str(n)) for n in range(101)])

    shown = litestar_queues.complaint("run-job", later, code=1)
    assert f"job {later} is scheduled; only a pending job can be run" in shown
    assert "there is no job 'nobody'" in litestar_queues.complaint("run-job", "nobody", code=1)
    shown = litestar_queues.complaint("run-job", ids[100], code=1)
    assert "cannot be taken: 100 jobs or more of its queue stand before it" in shown
    pending = [one for one in litestar_queues.json("status")["counts"] if one["count"] == 101]
    assert [one["status"] for one in pending] == ["pending"]
    assert litestar_queues.app.RAN == []


def test_a_job_of_an_unknown_task_is_not_run(litestar_queues: CommandLine) -> None:
    (job,) = litestar_queues.enqueue(("note", "a"))
    source = (litestar_queues.directory / "application.py").read_text(encoding="utf-8")
    litestar_queues.forget()
    litestar_queues.write(source.replace('"note"', '"notes"'))

    shown = litestar_queues.complaint("run-job", job, code=2)

    assert "no task is called 'note'; did you mean 'notes'?" in shown


def test_check_finds_what_keeps_jobs_from_running(litestar_queues: CommandLine) -> None:
    litestar_queues.enqueue(("note", "a"))
    litestar_queues.enqueue(("note", "b"), execution_backend="elsewhere", queue="far")
    source = (litestar_queues.directory / "application.py").read_text(encoding="utf-8")
    litestar_queues.forget()
    source = source.replace('"note"', '"notes"').replace("grace=", "queues=['default'], grace=")
    litestar_queues.write(source)

    shown = " ".join(litestar_queues("check", code=1).split())
    said = litestar_queues.json("check", code=1)

    assert "problem workers: none is alive, and 2 jobs wait; run 'litestar queues worker'" in shown
    assert (
        "problem execution backends: 1 jobs wait for 'elsewhere', which no worker of this code "
        "has; add it to QueueConfig.execution_backends"
    ) in shown
    assert "warning queues: 1 jobs wait in 'far', which WorkerConfig.queues does not name" in shown
    assert "problem tasks: 2 jobs wait for a task unknown here: no task is called 'note'" in shown
    assert [one["about"] for one in said if one["level"] == "problem"] == [
        "workers",
        "execution backends",
        "tasks",
    ]


def test_check_looks_at_what_live_workers_take(litestar_queues: CommandLine) -> None:
    litestar_queues.enqueue(("note", "a"), queue="far", run_after=600)

    async def check_beside_workers(service: QueueService) -> Any:
        async with Worker(service, queues=["near", "nearer"], lease=30.0):
            shown = await litestar_queues.beside("status")
            alone = await litestar_queues.beside("check", "--json", code=1)
            async with Worker(service, lease=30.0):
                return shown, json.loads(alone), await litestar_queues.beside("check", "--json")

    shown, alone, together = litestar_queues.with_service(check_beside_workers)

    assert "near, nearer" in shown
    assert [one for one in alone if one["level"] == "problem"] == [
        {
            "level": "problem",
            "about": "queues",
            "message": "1 jobs wait in 'far', which no live worker takes",
            "fix": "start one with --queue",
        }
    ]
    assert "far" not in together


def test_status_shows_the_workers(litestar_queues: CommandLine) -> None:
    async def look_beside_a_worker(service: QueueService) -> tuple[str, str]:
        async with Worker(service, name="the-worker", lease=30.0):
            return (
                await litestar_queues.beside("status"),
                await litestar_queues.beside("status", "--json"),
            )

    shown, said = litestar_queues.with_service(look_beside_a_worker)

    (line,) = [line.split() for line in shown.splitlines() if "the-worker" in line]
    assert line[0] == "the-worker"
    assert line[2:4] == [str(os.getpid()), "0"]
    assert line[-2:] == ["left", "all"]
    (worker,) = json.loads(said)["workers"]
    assert (worker["name"], worker["pid"], worker["dead"]) == ("the-worker", os.getpid(), False)
    assert worker["queues"] == []


def test_check_is_content_with_a_worker_at_work(litestar_queues: CommandLine) -> None:
    async def check_beside_a_worker(service: QueueService) -> str:
        async with Worker(service, queues=["nothing"], lease=3.0):
            shown: str = await litestar_queues.beside("check")
            return shown

    shown: str = litestar_queues.with_service(check_beside_a_worker)

    assert "workers: 1 alive, with 0 jobs" in shown
    assert "problem" not in shown
    assert "tasks: 3 are known here, among them all that jobs wait for" in shown


@pytest.mark.parametrize(("variable", "shown"), [("", True), ("1", False)])
def test_the_console_can_be_quiet(
    variable: str,
    shown: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("LITESTAR_QUIET_CONSOLE", variable)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    headline("Starting a queue worker")

    assert ("Starting a queue worker" in capsys.readouterr().out) is shown


@pytest.mark.parametrize("command", ["schedules", "tick"])
def test_schedules_are_said_to_be_missing(litestar_queues: CommandLine, command: str) -> None:
    shown = litestar_queues.complaint(command, code=4)

    assert "keeps no schedules in this version of litestar-queues" in shown
    assert "tasks with cron= or interval= do not run by themselves" in shown
