"""A real store whose answers can be spoilt on the way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from litestar_queues_core.errors import StoreError, StoreUnavailable
from litestar_queues_core.protocols import BackendConfig, Store

Fault = Callable[[str, int], str | Exception | None]


class FaultyStore:
    """Passes every call on, and fails those that *fault* picks, before or after their effect.

    Args:
        store: The real store.
        fault: Called with a method's name and the number of its call, from 1; returns
            ``"before"``, ``"after"``, ``"odd"`` for an unforeseen error after the effect, ``None``,
            or an exception to raise before.
    """

    def __init__(self, store: Store, fault: Fault) -> None:
        self.store = store
        self.fault = fault
        self.calls: dict[str, int] = {}
        self.failed: list[str] = []

    async def call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        number = self.calls[name] = self.calls.get(name, 0) + 1
        when = self.fault(name, number)
        if isinstance(when, Exception):
            self.failed.append(f"{name} before")
            raise when
        if when is not None:
            self.failed.append(f"{name} {when}")
        if when == "before":
            raise StoreUnavailable("the request was lost")
        answer = await getattr(self.store, name)(*args, **kwargs)
        if when == "after":
            raise StoreUnavailable("the answer was lost")
        if when == "odd":
            raise StoreError("nobody foresaw this, and the effect stands")
        return answer


def _passing(name: str) -> Any:
    async def method(self: FaultyStore, *args: Any, **kwargs: Any) -> Any:
        return await self.call(name, *args, **kwargs)

    return method


REQUIRED = "enqueue open_lease exchange renew close_lease maintain get cancel"
BROWSE = "find count revive"
KEYS = "release_keys"
for _name in f"{REQUIRED} {BROWSE} {KEYS}".split():
    setattr(FaultyStore, _name, _passing(_name))


class FaultyBackend:
    """Opens the store of another backend, spoilt."""

    def __init__(
        self, backend: BackendConfig, fault: Fault, *, kind: type[FaultyStore] = FaultyStore
    ) -> None:
        self.backend = backend
        self.fault = fault
        self.kind = kind
        self.stores: list[FaultyStore] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Any]:
        async with self.backend.open() as store:
            self.stores.append(self.kind(store, self.fault))
            yield self.stores[-1]


def failing(names: Sequence[str], when: str, *, times: int) -> Fault:
    """Return a fault that spoils the first *times* calls of each of *names*."""
    return lambda name, number: when if name in names and number <= times else None
