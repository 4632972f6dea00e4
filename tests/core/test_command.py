"""``python -m litestar_queues_core worker``, told with real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.core.processes import SOON, command

from litestar_queues_core import ConfigError, QueueConfig, QueueService
from litestar_queues_core.command import main
from litestar_queues_core.errors import (
    KeyConflictError,
    MissingAbilityError,
    MissingAdapterError,
    QueueError,
    SchemaError,
    StoreUnavailable,
    UnknownBackendError,
)
from litestar_queues_core.exits import UNABLE, WRONG, exit_code
from litestar_queues_core.stores.memory import MemoryBackendConfig
from litestar_queues_core.target import load, service_of
from litestar_queues_core.worker.supervisor import CANNOT_START, PARENT

APP = r'''
import asyncio, os, pathlib
from contextlib import asynccontextmanager
from litestar_queues_core import QueueConfig, QueueService, StoreUnavailable, WorkerConfig, task
from litestar_queues_core.errors import MissingAbilityError
from litestar_queues_core.stores.memory import MemoryBackendConfig, MemoryStore

in_memory = QueueService(QueueConfig(queue_backend="memory"))
number = 5
sends = lambda scope, receive, send: None


class Shared:
    """Stands for a store that processes share; each process here brings its own jobs."""

    def open(self):
        return MemoryBackendConfig().open()


class Unreachable:
    @asynccontextmanager
    async def open(self):
        async with MemoryBackendConfig().open() as store:
            async def open_lease(*args, **kwargs):
                raise StoreUnavailable("no route to it")

            store.open_lease = open_lease
            yield store


class Closed:
    """A store that cannot be opened."""

    @asynccontextmanager
    async def open(self):
        raise StoreUnavailable("the door is shut")
        yield


class Lacking:
    @asynccontextmanager
    async def open(self):
        raise MissingAbilityError("this setting", ability="SupportsAll", store="Lacking")
        yield


closed = QueueConfig(queue_backend=Closed())
lacking = QueueConfig(queue_backend=Lacking())
unreachable = QueueConfig(queue_backend=Unreachable())
several = QueueConfig(queue_backend=Shared(), worker=WorkerConfig(processes=2))


@task
async def greet(name: str) -> None:
    print("hello", name, os.getpid(), flush=True)


@task(queue="other")
async def elsewhere() -> None:
    print("elsewhere", flush=True)


@task
async def wait_for_file(name: str) -> None:
    os.write(1, f"waiting {os.getpid()}\n".encode())  # in one write, which others do not interrupt
    try:
        while not pathlib.Path(name).exists():
            await asyncio.sleep(0.01)
        print("finished", flush=True)
    except asyncio.CancelledError:
        print("interrupted", flush=True)
        raise


@asynccontextmanager
async def greeting():
    async with QueueService(QueueConfig(queue_backend=Shared())) as service:
        for name in ("Ada", "Bob", "Cy"):
            await service.enqueue(greet, name)
        await service.enqueue(elsewhere)
        yield service


@asynccontextmanager
async def uneven():
    async with QueueService(QueueConfig(queue_backend=Shared())) as service:
        await service.enqueue(wait_for_file, "go")
        await service.enqueue(greet, "Ada")
        yield service


@asynccontextmanager
async def waiting():
    async with QueueService(QueueConfig(queue_backend=Shared())) as service:
        for _ in range(2):
            await service.enqueue(wait_for_file, "go")
        yield service
'''


STORED = """
from litestar_queues_core import QueueConfig
from litestar_queues_sql.sqlite import SQLiteBackendConfig

config = QueueConfig(queue_backend=SQLiteBackendConfig(path="queue.db"), task_modules=["app"])
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with the module ``app``, of which nothing stays behind."""
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "stored.py").write_text(STORED)
    (tmp_path / "broken.py").write_text("import json\n\njson.loads('{')\n")
    (tmp_path / "needy.py").write_text("import no_such_module_at_all\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for module in ("app", "stored", "broken", "needy"):
        sys.modules.pop(module, None)


async def test_a_burst_runs_what_waits_and_ends(folder: Path) -> None:
    async with command("app:greeting", "--burst", "--name", "bursty") as shown:
        assert await shown.end() == 0

    assert shown.said("hello") == 3
    assert shown.said("elsewhere") >= 1
    assert shown.said("worker bursty started") == 1


async def test_options_override_the_settings(folder: Path) -> None:
    options = ("--queue", "default", "--concurrency", "1", "--lease", "3", "--log-level", "warning")
    async with command("app:greeting", "--burst", *options) as shown:
        assert await shown.end() == 0

    assert shown.said("hello") == 3
    assert shown.said("elsewhere") == 0
    assert shown.said("INFO") == 0


async def test_a_worker_ends_after_so_many_jobs(folder: Path) -> None:
    async with command("app:waiting", "--concurrency", "1", "--max-jobs", "1") as shown:
        await shown.hear("waiting")
        (folder / "go").touch()

        assert await shown.end() == 0
        assert shown.said("makes room") == 1


async def test_the_first_signal_lets_running_jobs_finish_and_starts_no_other(folder: Path) -> None:
    async with command("app:waiting", "--concurrency", "1") as shown:
        await shown.hear("waiting")
        shown.process.send_signal(signal.SIGTERM)
        await shown.hear("told to stop by SIGTERM; running jobs have 30 s")
        (folder / "go").touch()

        assert await shown.end() == 0
        assert shown.said("finished") == 1
        assert shown.said("waiting") == 1


async def test_a_second_signal_interrupts_what_runs(folder: Path) -> None:
    async with command("app:waiting") as shown:
        await shown.hear("waiting")
        for told in ("told to stop by SIGINT;", "told to stop by SIGINT again"):
            shown.process.send_signal(signal.SIGINT)
            await shown.hear(told)

        assert await shown.end() == 0
        assert shown.said("interrupted") == 2
        assert shown.said("finished") == 0


async def test_a_signal_to_a_worker_that_ends_anyway_is_no_haste(folder: Path) -> None:
    options = ("--concurrency", "2", "--max-jobs", "1", "--grace", "20")
    async with command("app:uneven", *options) as shown:
        await shown.hear("makes room")
        shown.process.send_signal(signal.SIGTERM)
        await shown.hear("told to stop by SIGTERM;")
        (folder / "go").touch()

        assert await shown.end() == 0
        assert shown.said("finished") == 1
        assert shown.said("interrupted") == 0


async def test_under_a_supervisor_a_repeated_sigterm_is_no_haste_but_sigint_is(
    folder: Path,
) -> None:
    inherited, lifeline = os.pipe()
    environment = {**os.environ, PARENT: str(inherited)}
    try:
        async with command("app:waiting", pass_fds=(inherited,), env=environment) as shown:
            await shown.hear("waiting")
            shown.process.send_signal(signal.SIGTERM)
            await shown.hear("told to stop by SIGTERM;")
            shown.process.send_signal(signal.SIGTERM)
            shown.process.send_signal(signal.SIGINT)
            await shown.hear("told to stop by SIGINT again")

            assert await shown.end() == 0
            assert shown.said("SIGTERM again") == 0
            assert shown.said("interrupted") == 2
    finally:
        os.close(inherited)
        os.close(lifeline)


async def test_a_worker_whose_store_cannot_be_reached_can_be_stopped(folder: Path) -> None:
    async with command("app:unreachable") as shown:
        await shown.hear("no route to it; trying again")
        shown.process.send_signal(signal.SIGTERM)

        assert await shown.end() == 0
        assert shown.said("before the worker had started") == 1


async def test_the_settings_say_how_many_processes_there_are(folder: Path) -> None:
    async with command("app:several", "--name", "pair") as shown:
        names = {(await shown.hear(" started:")).split()[6] for _ in range(2)}
        shown.process.send_signal(signal.SIGTERM)

        assert await shown.end() == 0
        assert names == {"pair-1", "pair-2"}
        assert shown.said("stopped; it ran 0 jobs") == 2


async def test_a_killed_process_is_replaced_and_its_jobs_run_again(folder: Path) -> None:
    pytest.importorskip("litestar_queues_sql.sqlite")
    options = ("--processes", "2", "--concurrency", "1", "--lease", "1")
    async with (
        QueueService(load("stored:config")) as service,
        command("stored:config", *options) as shown,
    ):
        results = [await service.enqueue("app.wait_for_file", "go") for _ in range(2)]
        pids = {int((await shown.hear("waiting")).split()[1]) for _ in results}
        os.kill(min(pids), signal.SIGKILL)
        again = int((await shown.hear("waiting")).split()[1])
        (folder / "go").touch()
        for result in results:
            await result.wait(SOON)
        shown.process.send_signal(signal.SIGTERM)

        assert await shown.end() == 0
        assert len(pids) == 2
        assert again not in pids
        assert [result.status for result in results] == ["completed"] * 2
        assert shown.said("was killed by SIGKILL") == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["app"], "'app' must have the form module:attribute, for example app:service"),
        (["nowhere:service"], "there is no module 'nowhere': call this in the directory"),
        (["app:greetin"], "did you mean app:greeting?"),
        (["app:gret"], "did you mean app:greeting?"),
        (["app:Clsed"], "did you mean app:closed?"),
        (["app:zzz"], "did you mean app:closed?"),
        (["app:number"], "'app:number' gives 5; it must be a QueueService, a QueueConfig,"),
        (["app:sends"], "which needs arguments; it must be a QueueService"),
        (["broken:service"], "cannot import 'broken': JSONDecodeError"),
        (["needy:service"], "cannot import 'needy': No module named 'no_such_module_at_all'"),
        (["app:in_memory"], "An external worker refuses the memory store"),
        (["app:unreachable", "--concurrency", "0"], "WorkerConfig.concurrency must be a whole"),
        (["app:unreachable", "--queue", "a b"], "a queue of WorkerConfig must be 1 to 100 letters"),
        (["app:unreachable", "--lease", "0.1"], "WorkerConfig.lease must be seconds"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_arguments_are_told_with_the_fix(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert main(["worker", *arguments]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("target", "code", "told"),
    [("closed", 3, "the door is shut"), ("lacking", 4, "the ability SupportsAll, which Lacking")],
)
def test_what_is_wrong_with_the_store_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str], target: str, code: int, told: str
) -> None:
    assert main(["worker", f"app:{target}"]) == code
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SchemaError("too new"), 3),
        (StoreUnavailable("gone"), 3),
        (MissingAbilityError("x", ability="y", store="z"), 4),
        (ConfigError("wrong"), 2),
        (UnknownBackendError("x", known=()), 2),
        (MissingAdapterError("redis"), 2),
        (KeyConflictError("k", task="a", holder="b"), 1),
    ],
)
def test_every_error_has_an_exit_code(error: QueueError, code: int) -> None:
    assert exit_code(error) == code


def test_an_import_that_fails_shows_where(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["worker", "broken:service"])

    assert 'broken.py", line 3' in capsys.readouterr().err


def test_a_supervisor_gives_up_on_wrong_settings_and_missing_abilities() -> None:
    assert sorted(CANNOT_START) == [WRONG, UNABLE]


@pytest.mark.parametrize("arguments", [[], ["worker"], ["worker", "app:service", "--bogus"]])
def test_a_wrong_command_line_exits_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2
    assert "usage: python -m litestar_queues_core" in capsys.readouterr().err


def test_help_tells_the_exit_codes_and_what_a_target_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["worker", "--help"])

    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert "exit codes:" in shown
    assert "a QueueService, not opened yet" in shown


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])

    assert capsys.readouterr().out.startswith("litestar-queues-core 0.")


CONFIG = QueueConfig(queue_backend=MemoryBackendConfig())


async def _async_config() -> QueueConfig:
    return CONFIG


@asynccontextmanager
async def _closed_service() -> AsyncIterator[QueueService]:
    yield QueueService(CONFIG)


@pytest.mark.parametrize(
    "target",
    [
        QueueService(CONFIG),
        CONFIG,
        lambda: CONFIG,
        lambda: QueueService(CONFIG),
        _async_config,
        _closed_service,
        _closed_service(),
    ],
    ids=["service", "config", "function", "factory", "async", "manager", "entered"],
)
async def test_what_a_target_may_be(target: Any) -> None:
    async with service_of(target, "app:target") as service:
        assert service.loop is None
        assert service.config is CONFIG


async def test_a_target_that_opens_its_service_keeps_it_open() -> None:
    @asynccontextmanager
    async def opened() -> AsyncIterator[QueueService]:
        async with QueueService(CONFIG) as service:
            yield service

    async with service_of(opened, "app:opened") as service:
        assert service.loop is asyncio.get_running_loop()
    assert service.loop is None


def test_attributes_of_attributes_are_found(folder: Path) -> None:
    assert load("app:in_memory.config").queue_backend == "memory"
    with pytest.raises(
        ConfigError, match=r"no attribute 'confg'; did you mean app:in_memory\.config"
    ):
        load("app:in_memory.confg")
