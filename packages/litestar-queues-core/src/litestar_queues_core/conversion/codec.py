"""What every conversion is made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isfinite
from typing import Any, cast

_KINDS: dict[str, tuple[type[Any], ...]] = {
    "null": (type(None),),
    "number": (bool, int, float),
    "string": (str,),
    "array": (list, tuple),
    "object": (dict,),
}
_SHAPES = {kind: shape for shape, kinds in _KINDS.items() for kind in kinds if kind is not tuple}
ANY_SHAPE = frozenset(_KINDS)


class Refusal(Exception):
    """Why a value cannot travel, and where in it.

    Attributes:
        path: From the outermost value, like ``.files[0]``.
        reason: Goes on where a sentence begins with the value: "is of type Path, ...".
        cause: The error behind it, if something else than this package raised it.
    """

    def __init__(self, reason: str, path: str = "", cause: BaseException | None = None) -> None:
        super().__init__(reason)
        self.reason: str = reason
        self.path: str = path
        self.cause: BaseException | None = cause

    @classmethod
    def of(cls, error: Exception, step: str = "") -> Refusal:
        """Return *error* as a refusal, seen from one step further out."""
        if isinstance(error, Refusal):
            path = step + error.path
            shown = path if len(path) <= 200 else f"{path[:197]}..."
            return cls(error.reason, shown, error.cause)
        if isinstance(error, RecursionError):
            return cls("is nested too deeply, or contains itself")
        return cls(f"raised {type(error).__name__}: {error}", step, error)


class Codec(ABC):
    """How the values of one annotation travel.

    Attributes:
        name: What people call it.
        shapes: The JSON forms its values take.
        encodes: Whether values must be converted (or checked) on their way out.
        decodes: Whether they must be converted on their way in.
    """

    name: str = "plain JSON"
    shapes: frozenset[str] = ANY_SHAPE
    encodes: bool = True
    decodes: bool = True

    def holds(self, value: object) -> bool:
        """Return whether *value* is one of this codec's, to tell the members of a union apart."""
        raise AssertionError(f"{self.name} is never a member of a union")

    @abstractmethod
    def encode(self, value: Any) -> Any:
        """Return *value* as plain JSON.

        Raises:
            Refusal: It cannot travel without loss.
        """

    def decode(self, value: Any) -> Any:
        """Return what :meth:`encode` was given.

        Raises:
            Refusal: This is nothing that it could have made.
        """
        return value


class Plain(Codec):
    """Values that are plain JSON as they are; as arguments they are not even looked at."""

    encodes = False
    decodes = False

    def __init__(self, name: str, *shapes: str) -> None:
        self.name = name
        self.shapes: frozenset[str] = frozenset(shapes)
        self.kinds: tuple[type[Any], ...] = tuple(
            kind for shape in shapes for kind in _KINDS[shape]
        )

    def holds(self, value: object) -> bool:
        """Return whether *value* has one of the forms."""
        return isinstance(value, self.kinds)

    def encode(self, value: Any) -> Any:
        """Return *value*, which is part of one that is converted."""
        expect(value, self.kinds, self.name)
        return value


def shape_of(value: object) -> str | None:
    """Return the JSON form of a plain value, ``None`` for any other."""
    return _SHAPES.get(type(value))


def expect(value: object, kind: type[Any] | tuple[type[Any], ...], name: str) -> None:
    """Refuse a *value* that is no *kind*."""
    if not isinstance(value, kind):
        raise Refusal(f"must be {name}, not {type(value).__name__}")


def refuse_foreign(value: object, step: str = "[{!r}]") -> None:
    """Refuse a *value* that is no plain JSON; *step* shows the keys of an object in the path."""
    if isinstance(value, float) and not isfinite(value):
        raise Refusal(f"is {value}, which JSON cannot express")
    if isinstance(value, Mapping):
        each(_refuse_key, cast(Mapping[object, object], value))
        walk(refuse_foreign, cast(Mapping[object, object], value).items(), step)
    elif isinstance(value, (list, tuple)):
        each(refuse_foreign, cast(Sequence[object], value))
    elif not isinstance(value, (str, int, float, type(None))):
        raise Refusal(f"is of type {type(value).__name__}, which its annotation does not allow")


def _refuse_key(key: object) -> None:
    if not isinstance(key, str):
        raise Refusal(f"is a key and must be text, not {type(key).__name__}")


def short(value: object) -> str:
    """Return what a message shows of *value*."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def each(convert: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """Convert *items*; a refusal names the number of its item."""
    return walk(convert, enumerate(items))


def walk(
    convert: Callable[[Any], Any], pairs: Iterable[tuple[object, Any]], step: str = "[{!r}]"
) -> list[Any]:
    """Convert the second of each pair; in a refusal the first says where."""
    done: list[Any] = []
    for place, item in pairs:
        try:
            done.append(convert(item))
        except Exception as error:
            raise Refusal.of(error, step.format(place)) from error
    return done
