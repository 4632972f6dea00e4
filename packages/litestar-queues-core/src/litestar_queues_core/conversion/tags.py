"""Values whose annotation says nothing: plain JSON, and a closed list of types under a tag.

A tagged value is an object whose only key is ``$`` and the name of its type.  A user's own
object of that look is put into one whose only key is ``$``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set as AbstractSet
from datetime import date, datetime, time, timedelta
from importlib import import_module
from math import isfinite
from typing import Any

from litestar_queues_core.conversion.codec import (
    Codec,
    Refusal,
    each,
    expect,
    shape_of,
    short,
    walk,
)
from litestar_queues_core.conversion.ordering import in_order
from litestar_queues_core.conversion.scalars import FORMS, TextCodec, qualified

ESCAPE = "$"
POSSIBLE = (
    "None, bool, int, float, str, list, dict with text keys, tuple, set, frozenset, datetime, "
    "date, time, timedelta, UUID, Decimal and bytes; under an annotation that names them also "
    "dataclasses, enums, NamedTuple, TypedDict and msgspec structs"
)

_AS_THEY_ARE = frozenset({type(None), bool, int, str})
_TEXTS: dict[type, str] = {
    datetime: "datetime",
    date: "date",
    time: "time",
    timedelta: "timedelta",
    bytes: "bytes",
}
_ELSEWHERE = {"uuid.UUID": "UUID", "decimal.Decimal": "Decimal"}


class Untyped(Codec):
    """Any value that can travel without an annotation; comes back exactly as it was.

    Args:
        reason: Why nothing better is known, for the message of a refusal.
    """

    name = "anything"

    def __init__(self, reason: str = "") -> None:
        self.reason = reason

    def encode(self, value: object) -> Any:
        """Return *value* as plain JSON with tags."""
        kind = type(value)
        if kind in _AS_THEY_ARE:
            return value
        if write := _WRITERS.get(kind):
            return write(self, value)
        return self._tagged_text(kind, value)

    def decode(self, value: Any) -> Any:
        """Return what was encoded."""
        shape = shape_of(value)
        if shape == "array":
            return self.read_list(value)
        return self._object(value) if shape == "object" else value

    def _object(self, value: dict[str, Any]) -> Any:
        key = next(iter(value), "") if len(value) == 1 else ""
        if not key.startswith(ESCAPE):
            return self.read_dict(value)
        if read := _READERS.get(key):
            return read(self, value[key])
        raise Refusal(f"has the unknown tag {short(key)}; does it come from a newer version?")

    def _why(self) -> str:
        return f" ({self.reason})" if self.reason else ""

    def _tagged_text(self, kind: type[Any], value: Any) -> dict[str, str]:
        tag = _TEXTS.get(kind) or _ELSEWHERE.get(qualified(kind))
        if tag is None:
            why = self._why()
            raise Refusal(
                f"is of type {kind.__name__}, which cannot travel{why}; possible: {POSSIBLE}"
            )
        return {ESCAPE + tag: FORMS[qualified(kind)].write(value)}

    def write_float(self, value: float) -> float:
        """Return *value* if it is a number."""
        if not isfinite(value):
            raise Refusal(f"is {value}, which JSON cannot express")
        return value

    def write_list(self, value: Sequence[Any]) -> list[Any]:
        """Return the items."""
        return each(self.encode, value)

    def write_dict(self, value: dict[Any, Any]) -> dict[str, Any]:
        """Return the items, escaped if they look like a tag."""
        for key in value:
            if type(key) is not str:
                raise Refusal(
                    f"has the key {short(key)}{self._why()}; keys must be text, or the annotation "
                    f"say otherwise: dict[int, ...]"
                )
        done = self._items(self.encode, value)
        looks_like_tag = len(done) == 1 and next(iter(done))[:1] == ESCAPE
        return {ESCAPE: done} if looks_like_tag else done

    def write_set(self, value: AbstractSet[Any]) -> list[Any]:
        """Return the items in an order of their own."""
        return in_order(walk(self.encode, zip(value, value, strict=True)))

    def _items(self, convert: Callable[[Any], Any], value: dict[str, Any]) -> dict[str, Any]:
        return dict(zip(value, walk(convert, value.items()), strict=True))

    def read_list(self, value: Any) -> list[Any]:
        """Return the decoded items."""
        expect(value, list, "an array")
        return each(self.decode, value)

    def read_dict(self, value: Any) -> dict[str, Any]:
        """Return the decoded items of an object that is known to be none of ours."""
        expect(value, dict, "an object")
        return self._items(self.decode, value)


def _text_reader(module: str, name: str) -> Callable[[Untyped, Any], Any]:
    def read(_: Untyped, value: Any) -> Any:
        kind = getattr(import_module(module), name)
        return TextCodec(kind, FORMS[f"{module}.{name}"]).decode(value)

    return read


_WRITERS: dict[type, Callable[[Untyped, Any], Any]] = {
    float: Untyped.write_float,
    list: Untyped.write_list,
    dict: Untyped.write_dict,
    tuple: lambda untyped, value: {"$tuple": untyped.write_list(value)},
    set: lambda untyped, value: {"$set": untyped.write_set(value)},
    frozenset: lambda untyped, value: {"$frozenset": untyped.write_set(value)},
}
_READERS: dict[str, Callable[[Untyped, Any], Any]] = {
    ESCAPE: Untyped.read_dict,
    "$tuple": lambda untyped, value: tuple(untyped.read_list(value)),
    "$set": lambda untyped, value: set(untyped.read_list(value)),
    "$frozenset": lambda untyped, value: frozenset(untyped.read_list(value)),
}
for _qualified in FORMS:
    _module, _name = _qualified.split(".")
    _READERS[ESCAPE + _name] = _text_reader(_module, _name)
