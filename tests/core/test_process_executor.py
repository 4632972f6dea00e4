"""Tasks with ``execution_backend="process"``, told through the public API and real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.core import crunching
from tests.core.processes import SOON, is_dead, is_reaped, until

from litestar_queues_core import (
    ConfigError,
    Event,
    JobFailedError,
    Outcome,
    QueueConfig,
    QueueEventConfig,
    QueueService,
    Task,
    TaskExecutionContext,
    Worker,
    WorkerConfig,
    task,
)
from litestar_queues_core.executors.process import ProcessExecutionConfig
from litestar_queues_core.stores.memory import MemoryBackendConfig

ROOT = Path(__file__).parents[2]


class Heard:
    """A sink that can be waited for."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._news = asyncio.Event()

    async def publish(self, events: Sequence[Event]) -> None:
        self.events.extend(events)
        self._news.set()

    async def first(self, wanted: Callable[[Event], bool]) -> Event:
        async with asyncio.timeout(SOON):
            while True:
                self._news.clear()
                for event in self.events:
                    if wanted(event):
                        return event
                await self._news.wait()

    async def hanging(self, job_id: str) -> tuple[int, int]:
        """Return the ids of the process of a hanging job and of the one it has started."""
        event = await self.first(lambda one: one.job_id == job_id and one.message == "hanging")
        assert event.progress is not None
        return int(event.progress.current or 0), int(event.progress.total or 0)


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let child processes, which have the same path, import what this module imports."""
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.fixture
def heard() -> Heard:
    return Heard()


@asynccontextmanager
async def working(
    *,
    processes: int = 1,
    heard: Heard | None = None,
    dependencies: Any = None,
    strict: bool = False,
    max_payload: int = 1_048_576,
    **overrides: Any,
) -> AsyncIterator[QueueService]:
    config = QueueConfig(
        queue_backend=MemoryBackendConfig(),
        execution_backends=[ProcessExecutionConfig(processes=processes)],
        event_config=QueueEventConfig(enabled=heard is not None, sink=heard, strict=strict),
        max_payload=max_payload,
        worker=WorkerConfig(lease=3.0, grace=0.0, **overrides),
    )
    async with QueueService(config, dependencies=dependencies) as service, Worker(service):
        yield service


async def value(service: QueueService, task: Task[..., Any], *args: Any, **options: Any) -> Any:
    return await (await service.enqueue(task, *args, **options)).value(timeout=SOON)


async def test_sync_and_async_tasks_run_in_a_process_and_their_values_come_back() -> None:
    async with working() as service:
        assert await value(service, crunching.add, 1, b=2) == 3
        assert await value(service, crunching.add, 1) == 11
        assert await value(service, crunching.async_add, 3, 4) == 7


async def test_arguments_and_results_have_their_types_on_both_sides() -> None:
    trip = crunching.Trip(place="Oulu", start=datetime(2030, 1, 1, 8, 30))

    async with working() as service:
        later = await value(service, crunching.delay, trip)

    assert later == crunching.Trip(place="Oulu", start=datetime(2030, 1, 1, 23, 30))


async def test_a_task_finds_its_context_and_runs_on_the_main_thread_of_another_process() -> None:
    async with working() as service:
        facts = await value(service, crunching.describe, queue="maths", headers={"trace": "7"})

    assert facts.pop("pid") != os.getpid()
    assert facts.pop("worker")
    assert facts == {
        "main_thread": True,
        "same": True,
        "attempt": 1,
        "delivery": 1,
        "queue": "maths",
        "headers": {"trace": "7"},
        "retries": 3,
        "cancelled": False,
    }


async def test_a_process_serves_one_job_after_the_other() -> None:
    async with working(processes=1, concurrency=4) as service:
        calls = [crunching.describe.call() for _ in range(20)]
        results = await service.enqueue_many(calls)
        pids = {(await result.value(timeout=SOON))["pid"] for result in results}

    assert len(pids) == 1


@pytest.mark.parametrize("task", [crunching.announce, crunching.announce_sync])
async def test_progress_logs_and_events_arrive_before_the_end(
    task: Task[..., Any], heard: Heard
) -> None:
    async with working(heard=heard) as service:
        result = await service.enqueue(task)
        await heard.first(lambda event: event.type == "job.completed")
        await result.refresh()

    said = [event for event in heard.events if event.job_id == result.id]
    assert [event.type for event in said] == [
        "job.enqueued",
        "job.started",
        "task.progress",
        "task.log",
        "app.custom",
        "job.completed",
    ]
    assert [event.sequence for event in said[1:]] == [1, 2, 3, 4, 5]
    assert (said[3].level, said[3].message, said[3].payload) == ("warning", "a line", {"n": 1})
    assert said[2].progress is not None
    assert (said[2].progress.current, said[2].progress.total) == (1, 2)
    assert result.record is not None
    assert result.result == "said"


async def test_an_event_that_strict_delivery_loses_fails_the_attempt() -> None:
    class Broken(Heard):
        async def publish(self, events: Sequence[Event]) -> None:
            if any(event.type == "task.log" for event in events):
                raise ConnectionError("no route")

    async with working(heard=Broken(), strict=True) as service:
        result = await (await service.enqueue(crunching.announce)).wait(SOON)

    assert result.status == "failed"
    assert "could not be delivered" in (result.error or "")


@pytest.mark.parametrize(
    ("which", "status", "expected"),
    [
        ("retry", "completed", "attempt 2"),
        ("snooze", "completed", "attempt 1"),
        ("discard", "failed", "no use"),
        ("cancel", "cancelled", None),
    ],
)
async def test_control_signals_mean_what_they_mean_elsewhere(
    which: str, status: str, expected: str | None
) -> None:
    async with working() as service:
        result = await (await service.enqueue(crunching.control, which)).wait(SOON)

    assert result.status == status
    assert (result.result if status == "completed" else result.error) == expected


async def test_an_error_keeps_its_type_message_and_traceback() -> None:
    async with working() as service:
        result = await (await service.enqueue(crunching.fail, "row 5")).wait(SOON)

    assert [one.type for one in result.errors] == ["tests.core.crunching.SeatTakenError"] * 2
    assert result.errors[0].message == "row 5"
    assert "in fail\n    raise SeatTakenError(message)" in result.errors[0].traceback


@pytest.mark.parametrize(
    ("task", "attempts"),
    [
        (crunching.not_retryable, 1),
        (crunching.gives_up, 1),
        (crunching.retries_on, 2),
        (crunching.fail.using(retries=2), 3),
    ],
)
async def test_the_retry_policy_judges_errors_whose_classes_are_in_the_process(
    task: Task[..., Any], attempts: int
) -> None:
    async with working() as service:
        arguments = ["why"] if task.has_parameter("message") else []
        result = await (await service.enqueue(task, *arguments)).wait(SOON)

    assert result.status == "failed"
    assert len(result.errors) == attempts


async def test_errors_that_cannot_be_shown_and_sys_exit_are_errors_like_others() -> None:
    async with working() as service:
        unspeakable = await (await service.enqueue(crunching.unspeakable)).wait(SOON)
        left = await (await service.enqueue(crunching.leave)).wait(SOON)

    assert unspeakable.errors[0].message == "<no message: RuntimeError in __str__>"
    assert left.error == "SystemExit: 3"


async def test_a_result_that_cannot_travel_fails_at_once() -> None:
    async with working(max_payload=100) as service:
        opaque = await (await service.enqueue(crunching.opaque)).wait(SOON)
        large = await (await service.enqueue(crunching.large, "x" * 60)).wait(SOON)

    assert [one.outcome for one in opaque.errors] == ["invalid"]
    assert "crunch.opaque" in opaque.errors[0].message
    assert "limit is 100" in (large.error or "")


async def test_a_large_argument_and_a_large_result_pass() -> None:
    text = "ä" * 200_000

    async with working() as service:
        assert await value(service, crunching.large, text) == text * 2


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("exit", "exited with code 7"),
        ("SIGSEGV", "was killed by SIGSEGV"),
        ("SIGKILL", "was killed by SIGKILL; if nobody did that"),
    ],
)
async def test_a_process_that_dies_fails_its_attempt_and_the_next_one_runs(
    how: str, told: str
) -> None:
    async with working() as service:
        result = await (await service.enqueue(crunching.die, how)).wait(SOON)

    assert result.result == "survived"
    assert [one.outcome for one in result.errors] == ["failed"]
    assert told in result.errors[0].message


async def test_a_death_harms_no_neighbour(heard: Heard) -> None:
    async with working(processes=2, heard=heard) as service:
        hanging = await service.enqueue(crunching.hang)
        await heard.hanging(hanging.id)
        died = await (await service.enqueue(crunching.die, "SIGKILL")).wait(SOON)
        await hanging.refresh()

        assert died.result == "survived"
        assert hanging.status == "running"
        assert hanging.record is not None
        assert hanging.record.delivery == 1


async def test_a_death_is_noticed_though_a_fork_lives_on(heard: Heard) -> None:
    async with working(heard=heard) as service:
        result = await service.enqueue(crunching.fork)
        _, fork = await heard.hanging(result.id)
        try:
            await result.wait(SOON)
        finally:
            os.kill(fork, signal.SIGKILL)

    assert "exited with code 9" in (result.error or "")


async def test_a_timeout_kills_the_process_with_what_it_has_started(heard: Heard) -> None:
    async with working(heard=heard) as service:
        result = await service.enqueue(crunching.hang, timeout=2)
        process, program = await heard.hanging(result.id)
        await result.wait(SOON)

        assert is_reaped(process)
        await until(lambda: is_dead(program))
        assert result.error == "TimeoutError: the attempt exceeded its timeout of 2 s"
        assert await value(service, crunching.add, 1, 2) == 3


async def test_a_cancel_kills_the_process_before_the_job_is_cancelled(heard: Heard) -> None:
    async with working(heard=heard) as service:
        result = await service.enqueue(crunching.stubborn)
        process, _ = await heard.hanging(result.id)
        await service.cancel(result.id)
        await result.wait(SOON)

        assert is_reaped(process)
        assert result.status == "cancelled"


async def test_a_job_that_waits_for_a_process_can_be_cancelled(heard: Heard) -> None:
    async with working(processes=1, heard=heard) as service:
        hanging = await service.enqueue(crunching.hang)
        await heard.hanging(hanging.id)
        waiting = await service.enqueue(crunching.add, 1, 2)
        await heard.first(lambda event: (event.job_id, event.type) == (waiting.id, "job.started"))
        await service.cancel(waiting.id)
        await waiting.wait(SOON)
        await service.cancel(hanging.id)
        await hanging.wait(SOON)

        assert waiting.status == "cancelled"
        assert await value(service, crunching.add, 1, 2) == 3


async def test_the_wait_for_a_process_counts_towards_the_timeout(heard: Heard) -> None:
    async with working(processes=1, heard=heard) as service:
        hanging = await service.enqueue(crunching.hang)
        await heard.hanging(hanging.id)
        waiting = await service.enqueue(crunching.add, 1, 2, timeout=0.2)
        await waiting.wait(SOON)
        await service.cancel(hanging.id)
        await hanging.wait(SOON)

        assert waiting.error == "TimeoutError: the attempt exceeded its timeout of 0.2 s"


async def test_a_worker_that_stops_gives_the_job_back_and_leaves_nothing(heard: Heard) -> None:
    before = open_files()
    async with working(processes=2, heard=heard) as service:
        assert await value(service, crunching.add, 1, 2) == 3
        hanging = await service.enqueue(crunching.hang)
        process, program = await heard.hanging(hanging.id)
        died = await service.enqueue(crunching.die, "SIGKILL")
        await died.wait(SOON)

    await until(lambda: is_dead(program))
    assert is_reaped(process)
    assert [event.type for event in heard.events if event.job_id == hanging.id][
        -1
    ] == "job.released"
    assert open_files() == before


def open_files() -> int:
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        pytest.skip("the system does not list open files here")


async def test_threads_that_an_attempt_leaves_say_nothing_in_the_name_of_the_next(
    heard: Heard,
) -> None:
    async with working(heard=heard) as service:
        first = await (await service.enqueue(crunching.leave_thread)).wait(SOON)
        second = await (await service.enqueue(crunching.listen)).wait(SOON)
        await heard.first(lambda event: (event.job_id, event.type) == (second.id, "job.completed"))

    speakers = {event.job_id for event in heard.events if event.type == "task.log"}
    assert second.status == "completed"
    assert speakers <= {first.id}


async def test_a_task_in_a_process_has_no_service_and_is_told_so() -> None:
    async with working() as service:
        result = await (await service.enqueue(crunching.enqueue_more)).wait(SOON)

    assert "NoServiceError: a task in a process of its own has no queue service" in (
        result.error or ""
    )


async def test_a_task_that_no_import_defines_fails_with_the_fix() -> None:
    @task("crunch.hidden", execution_backend="process", retries=5)
    def hidden() -> None: ...

    async with working() as service:
        result = await (await service.enqueue(hidden)).wait(SOON)

    assert [one.outcome for one in result.errors] == ["invalid"]
    assert "'crunch.hidden'" in (result.error or "")
    assert "define it at the top level of a module" in (result.error or "")


async def test_a_task_with_injected_parameters_fails_with_the_fix() -> None:
    class Provider:
        def names(self, task: Task[..., Any]) -> frozenset[str]:
            return frozenset({"b"})

        @asynccontextmanager
        async def open(
            self, task: Task[..., Any], context: TaskExecutionContext
        ) -> AsyncIterator[Mapping[str, object]]:
            yield {"b": 1}

    async with working(dependencies=Provider()) as service:
        result = await (await service.enqueue(crunching.add, 1)).wait(SOON)

    assert [one.outcome for one in result.errors] == ["invalid"]
    assert "where b cannot be injected" in (result.error or "")
    assert "execution_backend='local'" in (result.error or "")


async def test_a_process_that_is_not_ready_in_time_fails_the_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/cat")
    config = QueueConfig(
        queue_backend="memory",
        execution_backends=[ProcessExecutionConfig(processes=1, start_timeout=0.3)],
    )
    async with QueueService(config) as service, Worker(service):
        result = await (await service.enqueue(crunching.add, 1, 2)).wait(SOON)

    assert result.status == "failed"
    assert "ProcessDied" in (result.error or "")


async def test_hooks_see_the_outcome(heard: Heard) -> None:
    outcomes: list[Outcome] = []

    async with working(after_job=lambda _, outcome: outcomes.append(outcome)) as service:
        await value(service, crunching.add, 1, 2)
        with pytest.raises(JobFailedError):
            await value(service, crunching.fail.using(retries=0), "no")

    assert [outcome.encoded for outcome in outcomes] == [b"13", None]
    assert str(outcomes[1].error) == "no"


@pytest.mark.parametrize(
    "options", [{"processes": 0}, {"name": "no spaces"}, {"start_timeout": 0}], ids=str
)
def test_settings_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"ProcessExecutionConfig.{next(iter(options))}"):
        ProcessExecutionConfig(**options)


async def test_the_executor_is_found_by_its_name() -> None:
    config = QueueConfig(queue_backend="memory", execution_backend="process")

    async with QueueService(config) as service, Worker(service):
        result = await (await service.enqueue(crunching.add, 1, 2)).wait(SOON)

    assert result.result == 3


SCRIPT = """
    import asyncio, os, re, signal, sys
    from litestar_queues_core import QueueConfig, QueueService, Worker, task
    from litestar_queues_core.executors.process import ProcessExecutionConfig

    @task(execution_backend="process")
    def hang(gil: bool) -> None:
        print(os.getpid(), flush=True)
        if gil:
            re.match("(a+)+$", "a" * 60 + "b")
        signal.pause()

    @task(execution_backend="process")
    def double(number: int) -> int:
        return number * 2

    async def main():
        config = QueueConfig(
            queue_backend="memory", execution_backends=[ProcessExecutionConfig(processes=1)]
        )
        async with QueueService(config) as service, Worker(service):
            if sys.argv[1] == "double":
                result = await (await service.enqueue(double, 4)).wait(15)
                print(result.result, result.error)
            else:
                result = await service.enqueue(hang, sys.argv[1] == "gil")
                await result.wait(60)

"""
GUARD = 'if __name__ == "__main__":\n    '
RUN = "asyncio.run(main())\n"


def script(folder: Path, ending: str) -> Path:
    path = folder / "script.py"
    path.write_text(textwrap.dedent(SCRIPT) + ending)
    return path


async def started(path: Path, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, str(path), *arguments, stdout=asyncio.subprocess.PIPE, cwd=path.parent
    )


async def test_tasks_of_a_script_run_in_processes(tmp_path: Path) -> None:
    process = await started(script(tmp_path, GUARD + RUN), "double")
    output, _ = await asyncio.wait_for(process.communicate(), SOON)

    assert output.decode().split() == ["8", "None"]


async def test_a_script_without_its_guard_is_told_so(tmp_path: Path) -> None:
    process = await started(script(tmp_path, RUN), "double")
    output, _ = await asyncio.wait_for(process.communicate(), SOON)

    assert output.decode().count("TaskModuleError") == 1
    assert "if __name__ == '__main__':" in output.decode()


@pytest.mark.parametrize("busy", ["pause", "gil"])
async def test_a_worker_that_is_killed_takes_its_processes_along(tmp_path: Path, busy: str) -> None:
    if busy == "gil" and sys.platform != "linux":
        pytest.skip("only Linux ends a process that holds its interpreter")
    process = await started(script(tmp_path, GUARD + RUN), busy)
    assert process.stdout is not None
    child = int(await asyncio.wait_for(process.stdout.readline(), SOON))
    before = is_dead(child)
    process.kill()
    await asyncio.wait_for(process.communicate(), SOON)

    assert not before
    await until(lambda: is_dead(child))
