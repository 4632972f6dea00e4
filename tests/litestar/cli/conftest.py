"""The real command line, on a real application in a directory of the test's own."""

from __future__ import annotations

import asyncio
import importlib
import json
import re
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from litestar.cli.main import litestar_group

from litestar_queues import QueueConfig, QueueService
from litestar_queues.backends.sqlite import SQLiteBackendConfig
from litestar_queues_core.registry import default_registry

APP = """
from __future__ import annotations

import os
import signal

from litestar import Litestar
from litestar.di import Provide

from litestar_queues import QueueConfig, QueuePlugin, WorkerConfig, task

RAN = []


async def provide_prefix() -> str:
    return "ran "


@task("note", retries=2, description="Notes what it is given.")
async def note(what: str, *, prefix: str) -> str:
    RAN.append(what)
    return prefix + what


@task("fail", queue="bad")
async def fail() -> None:
    raise ValueError("[red]no[/] and no again")


@task("interrupt")
async def interrupt() -> str:
    os.kill(os.getpid(), signal.SIGTERM)
    return "finished all the same"


app = Litestar(
    dependencies={"prefix": Provide(provide_prefix)},
    plugins=[QueuePlugin(QueueConfig(worker=WorkerConfig(lease=3.0, grace=5.0)))],
    logging_config=None,
)
"""


class CommandLine:
    """Calls ``litestar queues`` on the application of the directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.module = "application"

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Return what a command prints; its exit code must be *code*."""
        result = self.call(*arguments)
        assert result.exit_code == code, (result.output, result.exception)
        return result.output

    def complaint(self, *arguments: str, code: int) -> str:
        """Return in one line what a command complains of, without the box around it."""
        return re.sub(r"[\s│╭╮╰╯─]+", " ", self(*arguments, code=code))

    def json(self, *arguments: str, code: int = 0) -> Any:
        """Return what a command says in JSON."""
        return json.loads(self(*arguments, "--json", code=code))

    def call(self, *arguments: str) -> Result:
        command = ["--app", f"{self.module}:app", "queues", *arguments]
        return CliRunner().invoke(litestar_group, command)

    async def beside(self, *arguments: str, code: int = 0) -> str:
        """Return what a command prints while the test's own loop goes on."""
        return await asyncio.to_thread(self, *arguments, code=code)

    def forget(self) -> None:
        """Let the application be imported anew, with other tasks."""
        sys.modules.pop(self.module, None)
        importlib.invalidate_caches()
        default_registry._tasks.clear()

    def write(self, source: str) -> None:
        """Let the application be another one."""
        (self.directory / f"{self.module}.py").write_text(source, encoding="utf-8")

    @property
    def app(self) -> Any:
        return importlib.import_module(self.module)

    def with_service(self, work: Callable[[QueueService], Coroutine[Any, Any, Any]]) -> Any:
        """Return what *work* does with the queue, outside of the application."""

        async def call() -> Any:
            config = QueueConfig(queue_backend=SQLiteBackendConfig())
            async with QueueService(config, dependencies=Given()) as service:
                return await work(service)

        return asyncio.run(call())

    def enqueue(self, *calls: tuple[Any, ...], **options: Any) -> list[str]:
        """Enqueue jobs and return their ids."""
        module = self.app

        async def work(service: QueueService) -> list[str]:
            return [
                (await service.enqueue(getattr(module, name), *arguments, **options)).id
                for name, *arguments in calls
            ]

        ids: list[str] = self.with_service(work)
        return ids


class Given:
    """Leaves to the application what its tasks depend on."""

    def names(self, task: Any) -> frozenset[str]:
        return frozenset({"prefix"}) if task.has_parameter("prefix") else frozenset()

    @asynccontextmanager
    async def open(self, task: Any, context: Any) -> AsyncIterator[dict[str, object]]:
        raise AssertionError("this service runs no tasks")
        yield {}


@pytest.fixture
def litestar_queues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandLine]:
    """The command line of an application on an empty SQLite file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LITESTAR_APP", "application:app")
    monkeypatch.delenv("LITESTAR_QUEUES_SQLITE_PATH", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    command_line = CommandLine(tmp_path)
    command_line.write(APP)
    with default_registry.restored():
        command_line.forget()
        yield command_line
        command_line.forget()
