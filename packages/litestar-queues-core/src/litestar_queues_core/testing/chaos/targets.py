"""What chaos is made with: a store, and by what means its surroundings can be made to fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast, runtime_checkable

from litestar_queues_core.errors import ConfigError
from litestar_queues_core.protocols import BackendConfig
from litestar_queues_core.stores.memory import MemoryBackendConfig
from litestar_queues_core.target import load

GROUP = "litestar_queues.chaos_targets"


@runtime_checkable
class ChaosTarget(Protocol):
    """A store under test; made with a workspace directory, by each process that takes part.

    What these processes must agree on lies in that directory, or follows from it.  Further
    abilities are protocols of their own: without :class:`SupportsServer` nothing is killed but
    workers and producers, and so on; the report says which faults were left out, and why.
    """

    def config(self, data: str) -> BackendConfig:
        """Return the backend configuration of a data set; each has jobs of its own.

        Args:
            data: Name of the data set: lower-case letters and digits.
        """
        ...


@runtime_checkable
class SupportsServer(Protocol):
    """A target with a server that can be killed.  The methods block; they run on a thread."""

    def start(self) -> None:
        """Start the server, and return once it answers."""
        ...

    def stop(self) -> None:
        """Stop the server in an orderly way, and wait for its end; harmless if it is down."""
        ...

    def kill(self) -> None:
        """End the server by SIGKILL, and wait for its end."""
        ...

    def restart(self) -> None:
        """Start it again after :meth:`kill`, at the same address and with the same data."""
        ...


@runtime_checkable
class SupportsProxy(Protocol):
    """A target that is reached over TCP, so that something can be put between."""

    def address(self) -> tuple[str, int]:
        """Return host and port of the server, once it has been started."""
        ...

    def through(self, host: str, port: int) -> ChaosTarget:
        """Return the same target, reached at another address."""
        ...


@runtime_checkable
class SupportsDisk(Protocol):
    """A target whose data can be put on a small disk of their own.  The methods block."""

    def make_disk(self) -> None:
        """Put what will be the data on a small disk; called once, before anything is stored.

        The process has a mount namespace of its own, so nothing need be undone.
        """
        ...

    def fill_disk(self) -> None:
        """Leave no room on it."""
        ...

    def free_disk(self) -> None:
        """Let there be room again."""
        ...


class Ledger(NamedTuple):
    """What an application has committed.

    Attributes:
        ordered: Jobs that were enqueued with an entry.
        completed: Jobs that were completed with an entry.
        counter: What has been counted along with the entries of the latter.
    """

    ordered: Sequence[str]
    completed: Sequence[str]
    counter: int


@runtime_checkable
class SupportsLedger(Protocol):
    """A target with a ledger of an application in the store's database."""

    def make_ledger(self) -> None:
        """Make it, empty, once the server runs; blocks."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """Open a session of the application with a transaction that commits at the end."""
        ...

    async def enter(self, session: Any, what: str, job: str) -> None:
        """Enter that a job was ``ordered`` or ``completed``, and count the latter."""
        ...

    def read_ledger(self) -> Ledger:
        """Return what has been committed; blocks."""
        ...


class MemoryTarget:
    """The memory store, which one process sees: there is no chaos with it, only a scorecard."""

    def __init__(self, workspace: Path) -> None:
        pass

    def config(self, data: str) -> MemoryBackendConfig:
        """Return another store each time."""
        return MemoryBackendConfig()


def make_target(store: str, workspace: Path) -> ChaosTarget:
    """Return the target that is meant by a name or by ``module:attribute``.

    Raises:
        ConfigError: There is none, or it is something else.
    """
    make = load(store) if ":" in store else _known(store)
    target = cast(Callable[[Path], object], make)(workspace)
    if not isinstance(target, ChaosTarget):
        raise ConfigError(
            f"{store!r} gives {target!r}; it must be a class, or a function, that is given a "
            "workspace directory and gives a chaos target: an object with config(data)"
        )
    return target


def _known(name: str) -> object:
    from importlib.metadata import entry_points  # noqa: PLC0415  (only here)

    if name == "memory":
        return MemoryTarget
    found = entry_points(group=GROUP)
    if name not in found.names:
        known = ", ".join(sorted({"memory", *found.names}))
        raise ConfigError(
            f"no chaos target is called {name!r}; known are {known}; "
            "others are named module:attribute"
        )
    return cast(object, found[name].load())
