"""Arrays, objects and unions of values that have an annotation of their own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence, Set as AbstractSet
from typing import Any

from litestar_queues_core.conversion.codec import (
    Codec,
    Plain,
    Refusal,
    each,
    expect,
    shape_of,
    short,
    walk,
)
from litestar_queues_core.conversion.ordering import canonical, in_order


class ArrayCodec(Codec):
    """Any number of values of one kind.

    Args:
        accepts: The types whose values may be sent.
        build: Makes the received value from the decoded items.
    """

    shapes: frozenset[str] = frozenset({"array"})

    def __init__(
        self,
        name: str,
        item: Codec,
        accepts: tuple[type[Any], ...],
        build: Callable[[list[Any]], Any] = list,
    ) -> None:
        self.name = name
        self.item: Codec = item
        self.accepts: tuple[type[Any], ...] = accepts
        self.build: Callable[[list[Any]], Any] = build
        self.ordered: bool = not issubclass(accepts[0], AbstractSet)

    def holds(self, value: object) -> bool:
        """Return whether *value* is such a container."""
        return isinstance(value, self.accepts)

    def encode(self, value: Any) -> list[Any]:
        """Return the items; those of a set in an order of their own."""
        expect(value, self.accepts, self.name)
        if not self.ordered:
            return in_order(walk(self.item.encode, zip(value, value, strict=True)))
        return each(self.item.encode, value) if self.item.encodes else list(value)

    def decode(self, value: Any) -> Any:
        """Return the container."""
        expect(value, list, f"the array of a {self.name}")
        return self.build(each(self.item.decode, value) if self.item.decodes else value)


class TupleCodec(Codec):
    """A tuple of fixed length, or a NamedTuple, as an array.

    Args:
        build: Makes the received value from the decoded items.
        least: Items that must be there; a NamedTuple has defaults for the rest.
    """

    shapes: frozenset[str] = frozenset({"array"})

    def __init__(
        self, name: str, kind: type[Any], build: Callable[[list[Any]], Any], least: int
    ) -> None:
        self.name = name
        self.kind: type[Any] = kind
        self.build: Callable[[list[Any]], Any] = build
        self.least: int = least
        self.items: Sequence[Codec] = ()

    def holds(self, value: object) -> bool:
        """Return whether *value* is exactly of the type."""
        return type(value) is self.kind

    def encode(self, value: Any) -> list[Any]:
        """Return the items."""
        if not self.holds(value):
            raise Refusal(f"must be {self.name}, not {type(value).__name__}")
        if len(value) != len(self.items):
            raise Refusal(f"must have {len(self.items)} items, not {len(value)}")
        return self._each([one.encode for one in self.items], value)

    def decode(self, value: Any) -> Any:
        """Return the tuple."""
        expect(value, list, f"the array of a {self.name}")
        if not self.least <= len(value) <= len(self.items):
            raise Refusal(f"must have {len(self.items)} items, not {len(value)}")
        return self.build(self._each([one.decode for one in self.items], value))

    def _each(self, steps: Sequence[Callable[[Any], Any]], value: Sequence[Any]) -> list[Any]:
        return each(lambda pair: pair[0](pair[1]), zip(steps, value, strict=False))


class TextKeys(Codec):
    """An object of plain JSON.  Only its keys are looked at: JSON would silently make them text."""

    name = "dict with text keys"
    shapes: frozenset[str] = frozenset({"object"})
    decodes = False

    def holds(self, value: object) -> bool:
        """Return whether *value* is a dict."""
        return isinstance(value, dict)

    def encode(self, value: Any) -> Any:
        """Return *value* as a dict."""
        expect(value, (dict, Mapping), self.name)
        kinds: set[type[Any]] = set(map(type, value))
        if kinds - {str}:
            wrong = next(key for key in value if type(key) is not str)
            raise Refusal(f"has the key {short(wrong)}, but its keys must be str")
        return dict(value)


class MappingCodec(Codec):
    """An object, whose keys are text or written as text.

    Args:
        key: How keys are written, if they are not text as they are.
    """

    shapes: frozenset[str] = frozenset({"object"})

    def __init__(self, name: str, key: Codec | None, item: Codec) -> None:
        self.name = name
        self.item: Codec = item
        self.write_key: Callable[[Any], str] = _text_as_it_is if key is None else key.encode
        self.read_key: Callable[[Any], Any] = _text_as_it_is if key is None else key.decode

    def holds(self, value: object) -> bool:
        """Return whether *value* is a mapping."""
        return isinstance(value, (dict, Mapping))

    def encode(self, value: Any) -> dict[str, Any]:
        """Return the object."""
        expect(value, (dict, Mapping), self.name)
        keys = walk(self.write_key, zip(value, value, strict=True))
        done = dict(zip(keys, walk(self.item.encode, value.items()), strict=True))
        if len(done) < len(value):
            raise Refusal("has different keys that are written alike")
        return done

    def decode(self, value: Any) -> dict[Any, Any]:
        """Return the dict."""
        expect(value, dict, f"the object of a {self.name}")
        keys = walk(self.read_key, zip(value, value, strict=True))
        return dict(zip(keys, walk(self.item.decode, value.items()), strict=True))


def _text_as_it_is(value: Any) -> str:
    if type(value) is not str:
        raise Refusal(f"is a key and must be str, not {type(value).__name__}")
    return value


class NumberKey(Codec):
    """A key that travels as a number elsewhere, and as the JSON text of that number here.

    Args:
        number: How such a value travels elsewhere.
        exactly: The one type of such values, if no other can be told from it afterwards.
    """

    shapes: frozenset[str] = frozenset({"string"})

    def __init__(self, number: Codec, exactly: type[Any] | None = None) -> None:
        self.number: Codec = number
        self.exactly: type[Any] | None = exactly

    def encode(self, value: Any) -> str:
        """Return the text."""
        if self.exactly is not None and type(value) is not self.exactly:
            wanted = self.exactly.__name__
            raise Refusal(f"is a key and must be {wanted}, not {type(value).__name__}")
        return canonical(self.number.encode(value))

    def decode(self, value: Any) -> Any:
        """Return what the text means."""
        number = json.loads(value)
        expect(number, self.exactly or (int, float), "the text of a number")
        return self.number.decode(number)


class UnionCodec(Codec):
    """One of several, which differ in their JSON form.

    Args:
        members: Those that must be converted.
        plain: All those that need not be, in one.
    """

    def __init__(self, name: str, members: Sequence[Codec], plain: Plain) -> None:
        self.name = name
        self.members: Sequence[Codec] = (*members, plain)
        self.by_shape: Mapping[str, Codec] = {
            shape: one for one in self.members for shape in one.shapes
        }
        self.shapes: frozenset[str] = frozenset(self.by_shape)

    def holds(self, value: object) -> bool:
        """Return whether *value* is one of them."""
        return any(one.holds(value) for one in self.members)

    def encode(self, value: Any) -> Any:
        """Return what the member makes of *value* that it belongs to."""
        for member in self.members:
            if member.holds(value):
                return member.encode(value)
        raise Refusal(f"must be {self.name}, not {type(value).__name__}")

    def decode(self, value: Any) -> Any:
        """Return what the member makes of *value* that has its form."""
        if member := self.by_shape.get(shape_of(value) or ""):
            return member.decode(value)
        raise Refusal(f"is no {self.name}: {short(value)}")
