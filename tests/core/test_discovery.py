from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from litestar_queues_core.discovery import (
    BACKENDS,
    discover_tasks,
    import_task_modules,
    installed,
    load_backend,
    load_executor,
    load_sink,
)
from litestar_queues_core.errors import (
    MissingAdapterError,
    TaskModuleError,
    UnknownBackendError,
)
from litestar_queues_core.registry import default_registry
from litestar_queues_core.stores.memory import MemoryBackendConfig

TASK = "from litestar_queues_core.task import task\n@task\ndef work() -> None: ...\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An importable package ``shop`` with tasks on three levels and a program."""
    root = tmp_path / "shop"
    (root / "mail" / "bulk").mkdir(parents=True)
    for folder in (root, root / "mail", root / "mail" / "bulk"):
        (folder / "__init__.py").write_text("")
        (folder / "tasks.py").write_text(TASK)
    (root / "__main__.py").write_text("raise AssertionError('a program was run')")
    monkeypatch.syspath_prepend(tmp_path)
    yield root
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
        del sys.modules[name]


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The metadata of a distribution that registers what a test writes into it."""
    folder = tmp_path / "acme_queues-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-queues\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    return folder / "entry_points.txt"


def test_a_backend_is_found_by_its_name() -> None:
    assert load_backend("memory") is MemoryBackendConfig
    assert "memory" in installed(BACKENDS)


def test_others_can_register_backends_executors_and_sinks(distribution: Path) -> None:
    distribution.write_text(
        "[litestar_queues.backends]\nacme-db = collections:OrderedDict\n"
        "[litestar_queues.executors]\nacme = collections:Counter\n"
        "[litestar_queues.event_sinks]\nacme = collections:deque\n"
    )

    found = [load_backend("acme-db"), load_executor("acme"), load_sink("acme")]

    assert [one.__name__ for one in found] == ["OrderedDict", "Counter", "deque"]


@pytest.mark.parametrize("name", ["advanced_alchemy", "advanced-alchemy"])
def test_one_of_ours_that_is_not_built_yet_is_said_to_come(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = importlib.metadata.EntryPoints(())
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: nothing)

    with pytest.raises(MissingAdapterError, match=r"^the 'advanced-alchemy' adapter is not in"):
        load_backend(name)
    with pytest.raises(MissingAdapterError, match=r"^the 'cloudrun' adapter is not in this"):
        load_executor("cloudrun")


def test_one_of_ours_that_is_not_installed_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nothing = importlib.metadata.EntryPoints(())
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: nothing)

    with pytest.raises(MissingAdapterError, match=r"; run: pip install litestar-queues-sql$"):
        load_backend("sqlite")


def test_an_unknown_name_is_answered_with_those_installed() -> None:
    with pytest.raises(UnknownBackendError, match=r"queue backend is called 'mongo'; .*memory"):
        load_backend("mongo")
    with pytest.raises(UnknownBackendError, match="event sink is called 'mongo'"):
        load_sink("mongo")


def test_a_missing_driver_is_not_mistaken_for_a_missing_adapter(distribution: Path) -> None:
    distribution.write_text("[litestar_queues.backends]\nredis = no_such_driver:Config\n")

    with pytest.raises(ModuleNotFoundError, match="no_such_driver") as caught:
        load_backend("redis")
    assert not isinstance(caught.value, MissingAdapterError)


@pytest.mark.usefixtures("package")
def test_task_modules_are_imported_by_name() -> None:
    import_task_modules(["shop.mail.tasks", "shop.tasks"])

    assert {"shop.mail.tasks.work", "shop.tasks.work"} <= {one.name for one in default_registry}


@pytest.mark.usefixtures("package")
def test_a_package_is_searched_to_its_last_module() -> None:
    found = discover_tasks("shop")

    assert sorted(found) == [
        "shop",
        "shop.mail",
        "shop.mail.bulk",
        "shop.mail.bulk.tasks",
        "shop.mail.tasks",
        "shop.tasks",
    ]
    assert "shop.mail.bulk.tasks.work" in default_registry


@pytest.mark.usefixtures("package")
def test_a_single_module_can_be_discovered() -> None:
    assert discover_tasks("shop.tasks") == ["shop.tasks"]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("1 / 0", "ZeroDivisionError"),
        ("def (", "SyntaxError"),
    ],
)
def test_a_module_that_fails_is_named_and_never_skipped(
    package: Path, source: str, why: str
) -> None:
    (package / "mail" / "broken.py").write_text(source)

    with pytest.raises(TaskModuleError, match=f"'shop.mail.broken': {why}") as caught:
        discover_tasks("shop")

    assert caught.value.module == "shop.mail.broken"
    assert caught.value.__cause__ is not None


def test_a_module_that_does_not_exist_is_named() -> None:
    with pytest.raises(TaskModuleError, match=r"'no\.such\.tasks'"):
        import_task_modules(["no.such.tasks"])
