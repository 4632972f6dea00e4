"""Data classes, msgspec structs and TypedDicts, as JSON objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar_queues_core.conversion.codec import Codec, Refusal, expect, short, walk


class ObjectCodec(Codec):
    """An instance whose fields are the keyword arguments of its class.

    Fields the receiver does not know are ignored, those the sender did not know get their
    defaults, so that two versions of a program understand each other.
    """

    shapes: frozenset[str] = frozenset({"object"})

    def __init__(self, kind: type[Any]) -> None:
        self.kind = kind
        self.name: str = kind.__name__
        self.fields: Mapping[str, Codec] = {}

    def holds(self, value: object) -> bool:
        """Return whether *value* is an instance."""
        return isinstance(value, self.kind)

    def encode(self, value: Any) -> dict[str, Any]:
        """Return the fields."""
        if type(value) is not self.kind:
            raise Refusal(f"must be exactly {self.name}, not {type(value).__name__}")
        pairs = [(name, (codec, getattr(value, name))) for name, codec in self.fields.items()]
        done = walk(lambda pair: pair[0].encode(pair[1]), pairs, ".{}")
        return dict(zip(self.fields, done, strict=True))

    def decode(self, value: Any) -> Any:
        """Return the instance."""
        expect(value, dict, f"the object of a {self.name}")
        known = [name for name in self.fields if name in value]
        pairs = [(name, (self.fields[name], value[name])) for name in known]
        done = walk(lambda pair: pair[0].decode(pair[1]), pairs, ".{}")
        try:
            return self.kind(**dict(zip(known, done, strict=True)))
        except Exception as error:
            raise Refusal(f"makes no {self.name}: {error}", cause=error) from error


class TypedDictCodec(Codec):
    """A dict some of whose keys have annotations; the others are untyped."""

    shapes: frozenset[str] = frozenset({"object"})

    def __init__(self, kind: type[Any], other: Codec) -> None:
        self.name: str = kind.__name__
        self.other = other
        self.fields: Mapping[str, Codec] = {}

    def holds(self, value: object) -> bool:
        """Return whether *value* is a dict."""
        return isinstance(value, dict)

    def encode(self, value: Any) -> dict[str, Any]:
        """Return the items."""
        expect(value, dict, self.name)
        for key in value:
            if type(key) is not str:
                raise Refusal(f"has the key {short(key)}; keys of a TypedDict are text")
        return self._items("encode", value)

    def decode(self, value: Any) -> dict[str, Any]:
        """Return the dict."""
        expect(value, dict, f"the object of a {self.name}")
        return self._items("decode", value)

    def _items(self, direction: str, value: dict[str, Any]) -> dict[str, Any]:
        pairs = [
            (key, (getattr(self.fields.get(key, self.other), direction), item))
            for key, item in value.items()
        ]
        return dict(zip(value, walk(lambda pair: pair[0](pair[1]), pairs), strict=True))
