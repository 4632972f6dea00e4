"""The decorators behind every data class of the model."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(kw_only_default=True, frozen_default=True)
def record(cls: type[T]) -> type[T]:
    """Make *cls* a slotted, keyword-only data class which type checkers treat as frozen.

    Read-only by type and not at run time: a frozen data class assigns each field through
    ``object.__setattr__``, which costs several times as much as a plain one, and these are
    built once per job.
    """
    return _with_shared_methods(dataclass(slots=True, kw_only=True, eq=False, repr=False)(cls))


@dataclass_transform(frozen_default=True)
def hot_record(cls: type[T]) -> type[T]:
    """Make *cls* a :func:`record` whose fields may also be given by position.

    For the few classes that are built once per job: CPython 3.11 takes three to four times as
    long to call a class with keywords as by position (1.3 against 0.4 us for eleven fields).
    """
    return _with_shared_methods(dataclass(slots=True, eq=False, repr=False)(cls))


def _with_shared_methods(cls: type[T]) -> type[T]:
    """Add methods that serve all records alike.

    Those that ``dataclass`` writes for each class anew were half of the time of our import.
    """
    for name, method in (("__eq__", _equal), ("__hash__", _hash), ("__repr__", _represent)):
        setattr(cls, name, method)
    return cls


_compared: dict[type[Any], tuple[str, ...]] = {}


def _names(cls: type[Any]) -> tuple[str, ...]:
    if cls not in _compared:
        _compared[cls] = tuple(one.name for one in fields(cls) if one.compare)
    return _compared[cls]


def _values(record: object) -> tuple[object, ...]:
    return tuple(getattr(record, name) for name in _names(type(record)))


def _equal(self: object, other: object) -> bool:
    return type(self) is type(other) and _values(self) == _values(other)


def _hash(self: object) -> int:
    return hash(_values(self))


def _represent(self: object) -> str:
    shown = zip(_names(type(self)), _values(self), strict=True)
    return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown)})"
