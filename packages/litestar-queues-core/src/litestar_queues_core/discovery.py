"""Finding what is installed by name, and the modules that define tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from litestar_queues_core.errors import (
    MissingAdapterError,
    TaskModuleError,
    UnknownBackendError,
)

if TYPE_CHECKING:
    from types import ModuleType

BACKENDS = "litestar_queues.backends"
EXECUTORS = "litestar_queues.executors"
SINKS = "litestar_queues.event_sinks"

_KINDS = {BACKENDS: "queue backend", EXECUTORS: "executor", SINKS: "event sink"}
_OURS: dict[str, dict[str, str | None]] = {
    BACKENDS: {
        "sqlite": "litestar-queues-sql",
        "redis": None,
        "valkey": None,
        "sqlspec": None,
        "advanced_alchemy": "litestar-queues-advanced-alchemy",
    },
    EXECUTORS: {"cloudrun": None},
    SINKS: {},
}
"""Adapters of this project, and the distributions that have them already."""


def load_backend(name: str) -> Any:
    """Return the configuration class of the queue backend called *name*.

    Raises:
        MissingAdapterError: It is one of ours, and not installed or not in this version.
        UnknownBackendError: Nothing installed has that name.
    """
    return _load(BACKENDS, name)


def load_executor(name: str) -> Any:
    """Return the configuration class of the executor called *name*; raises like a backend's."""
    return _load(EXECUTORS, name)


def load_sink(name: str) -> Any:
    """Return the class of the event sink called *name*; raises like a backend's."""
    return _load(SINKS, name)


def installed(group: str) -> list[str]:
    """Return the names registered in an entry-point group, in order."""
    from importlib.metadata import entry_points  # noqa: PLC0415  (costs 20 ms)

    return sorted(entry_points(group=group).names)


def import_task_modules(names: Iterable[str]) -> None:
    """Import modules, because they define tasks.

    Raises:
        TaskModuleError: One cannot be imported; it names the module and says why.
    """
    for name in names:
        _import(name)


def discover_tasks(package: str) -> list[str]:
    """Import *package* with every module below it, and return their names.

    A module called ``__main__`` is a program and is left out.

    Raises:
        TaskModuleError: One cannot be imported; it names the module and says why.
    """
    return list(_walk(_import(package)))


def _load(group: str, name: str) -> Any:
    from importlib.metadata import entry_points  # noqa: PLC0415  (costs 20 ms)

    found = entry_points(group=group)
    spelled = name.replace("-", "_")
    for wanted in (name, spelled):
        if wanted in found.names:
            return found[wanted].load()
    if spelled in _OURS[group]:
        raise MissingAdapterError(spelled, distribution=_OURS[group][spelled])
    raise UnknownBackendError(name, known=found.names, kind=_KINDS[group])


def _walk(module: ModuleType) -> Iterator[str]:
    from pkgutil import iter_modules  # noqa: PLC0415  (only here)

    yield module.__name__
    for found in iter_modules(getattr(module, "__path__", ())):
        if found.name != "__main__":
            yield from _walk(_import(f"{module.__name__}.{found.name}"))


def _import(name: str) -> ModuleType:
    try:
        return import_module(name)
    except Exception as error:
        raise TaskModuleError(name, error) from error
