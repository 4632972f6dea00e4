"""Types whose values are one JSON text or number."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from enum import Enum
from typing import Any, NamedTuple, cast

from litestar_queues_core.conversion.codec import Codec, Refusal, expect, shape_of, short

_DURATION = (
    r"(?P<sign>[+-]?)P(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)(?:\.(?P<part>\d{1,6}))?S)?)?"
)


def write_duration(value: timedelta) -> str:
    """Return *value* in ISO 8601, exactly: ``P1DT1.5S``."""
    sign = "-" if value < timedelta(0) else ""
    value = abs(value)
    text = f"{value.seconds}.{value.microseconds:06}".rstrip("0").rstrip(".")
    return f"{sign}P{value.days}DT{text}S" if value.days else f"{sign}PT{text}S"


def read_duration(kind: type[timedelta], text: str) -> timedelta:
    """Return the duration that ISO 8601 *text* means; months and years mean none."""
    found = re.fullmatch(_DURATION, text, re.ASCII)
    if not found or text[-1] in "PT":
        raise ValueError
    part = (found["part"] or "").ljust(6, "0")
    units = ("weeks", "days", "hours", "minutes", "seconds")
    value = kind(microseconds=int(part), **{unit: int(found[unit] or 0) for unit in units})
    return -value if found["sign"] == "-" else value


class Form(NamedTuple):
    """How one type is written as text, and read by calling on the type it is to have."""

    write: Callable[[Any], str]
    read: Callable[[Any, str], Any]


def _write_zoned(value: datetime | time) -> str:
    if value.tzinfo is not None:
        offset = value.utcoffset()
        if offset is None or offset.microseconds:
            raise Refusal("has a time zone without an offset in whole seconds, and would lose it")
    return value.isoformat()


def _read_iso(kind: Any, text: str) -> Any:
    return kind.fromisoformat(text)


def _read_text(kind: Any, text: str) -> Any:
    return kind(text)


def _write_bytes(value: bytes) -> str:
    return b64encode(value).decode()


def _read_bytes(kind: Any, text: str) -> Any:
    return kind(b64decode(text, validate=True))


_ZONED = Form(_write_zoned, _read_iso)
_TEXT = Form(str, _read_text)

FORMS: Mapping[str, Form] = {
    "datetime.datetime": _ZONED,
    "datetime.date": Form(date.isoformat, _read_iso),
    "datetime.time": _ZONED,
    "datetime.timedelta": Form(write_duration, read_duration),
    "uuid.UUID": _TEXT,
    "decimal.Decimal": _TEXT,
    "builtins.bytes": Form(_write_bytes, _read_bytes),
}
"""By qualified name, so that no module is imported for the sake of a type nobody uses."""


def qualified(kind: type) -> str:
    """Return the name of *kind* with its module's."""
    return f"{kind.__module__}.{kind.__qualname__}"


class TextCodec(Codec):
    """A type that travels as text."""

    shapes: frozenset[str] = frozenset({"string"})

    def __init__(self, kind: type, form: Form) -> None:
        self.kind: type = kind
        self.form: Form = form
        self.name: str = kind.__name__

    def holds(self, value: object) -> bool:
        """Return whether *value* is of the type; a datetime is no date here."""
        return isinstance(value, self.kind) and (
            self.kind is not date or not isinstance(value, datetime)
        )

    def encode(self, value: Any) -> str:
        """Return the text of *value*."""
        if not self.holds(value):
            raise Refusal(f"must be {self.name}, not {type(value).__name__}")
        return self.form.write(value)

    def decode(self, value: Any) -> Any:
        """Return what the text means."""
        expect(value, str, f"the text of a {self.name}")
        try:
            return self.form.read(self.kind, value)
        except (ValueError, ArithmeticError):
            raise Refusal(f"is no {self.name}: {short(value)}") from None


class SubtypeCodec(Codec):
    """A class derived from text or a number, which travels as that."""

    def __init__(self, kind: type, base: type) -> None:
        self.kind: type = kind
        self.base: type = base
        self.name: str = kind.__name__
        self.shapes: frozenset[str] = frozenset({cast(str, shape_of(base()))})

    def holds(self, value: object) -> bool:
        """Return whether *value* is of the class."""
        return isinstance(value, self.kind)

    def encode(self, value: Any) -> Any:
        """Return *value* as text or a number."""
        expect(value, self.kind, self.name)
        return self.base(value)

    def decode(self, value: Any) -> Any:
        """Return the text or number as the class."""
        expect(value, self.base, f"the {self.base.__name__} of a {self.name}")
        return self.kind(value)


class EnumCodec(Codec):
    """An enumeration, which travels as its members' values."""

    def __init__(self, kind: type[Enum], untyped: Codec) -> None:
        self.kind: type[Enum] = kind
        self.untyped: Codec = untyped
        self.name: str = kind.__name__
        forms = {shape_of(untyped.encode(member.value)) for member in kind}
        self.shapes: frozenset[str] = frozenset(form for form in forms if form)

    def holds(self, value: object) -> bool:
        """Return whether *value* is a member."""
        return isinstance(value, self.kind)

    def encode(self, value: Any) -> Any:
        """Return the member's value."""
        expect(value, self.kind, self.name)
        return self.untyped.encode(value.value)

    def decode(self, value: Any) -> Any:
        """Return the member that has the value."""
        try:
            return self.kind(self.untyped.decode(value))
        except ValueError:
            raise Refusal(f"is no {self.name}: {short(value)}") from None
