from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from litestar_queues_core.errors import DuplicateTaskError, UnknownTaskError
from litestar_queues_core.registry import Registry, default_registry
from litestar_queues_core.task import Task, task


def test_a_task_is_found_by_its_name() -> None:
    @task("reports.build")
    def build() -> None: ...

    assert default_registry.get("reports.build") is build
    assert "reports.build" in default_registry
    assert build in list(default_registry)


def test_an_unknown_name_is_answered_with_those_that_are_alike() -> None:
    @task("reports.build")
    def build() -> None: ...

    with pytest.raises(UnknownTaskError, match=r"'reports.buidl'; did you mean 'reports.build'"):
        default_registry.get("reports.buidl")


def test_two_tasks_with_one_name_are_an_error_that_names_both_places() -> None:
    @task("mail.send")
    def send_mail() -> None: ...

    with pytest.raises(DuplicateTaskError) as caught:

        @task("mail.send")
        def deliver_mail() -> None: ...

    message = str(caught.value)
    assert "'mail.send'" in message
    for function in ("send_mail", "deliver_mail"):
        assert f"{function} ({__file__}:" in message
    assert default_registry.get("mail.send") is send_mail


def test_the_same_code_run_again_replaces_the_task() -> None:
    def define() -> Task[..., Any]:
        @task("again")
        def again() -> None: ...

        return again

    first, second = define(), define()

    assert default_registry.get("again") is second is not first


def test_a_reloaded_module_replaces_its_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "from litestar_queues_core.task import task\n@task\ndef work(): ...\n"
    (tmp_path / "reloaded_tasks.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("reloaded_tasks")
    try:
        before = default_registry.get("reloaded_tasks.work")
        importlib.reload(module)
    finally:
        del sys.modules["reloaded_tasks"]

    assert default_registry.get("reloaded_tasks.work") is module.work is not before


def test_a_function_moved_within_its_module_is_another() -> None:
    lines = ["from litestar_queues_core.task import task", "@task('moved')", "def f(): ..."]

    exec("\n".join(lines), {"__name__": "m"})  # noqa: S102

    with pytest.raises(DuplicateTaskError, match=r"f \(<string>:2\) and f \(<string>:3\)"):
        exec("\n".join(["", *lines]), {"__name__": "m"})  # noqa: S102


def test_registrations_can_be_undone() -> None:
    registry = Registry()
    first = task("one")(print)
    registry.add(first)

    with registry.restored():
        registry.add(task("two")(print))
        assert len(registry) == 2

    assert list(registry) == [first]
