"""From an annotation to the codec of its values."""

from __future__ import annotations

import types
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Mapping,
    MutableMapping,
    MutableSequence,
    MutableSet,
    Sequence,
    Set as AbstractSet,
)
from dataclasses import InitVar, fields, is_dataclass
from enum import Enum
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin

from litestar_queues_core.conversion.codec import Codec, Plain, Refusal, shape_of
from litestar_queues_core.conversion.containers import (
    ArrayCodec,
    MappingCodec,
    NumberKey,
    TextKeys,
    TupleCodec,
    UnionCodec,
)
from litestar_queues_core.conversion.hints import Unresolved, hints_of
from litestar_queues_core.conversion.objects import ObjectCodec, TypedDictCodec
from litestar_queues_core.conversion.scalars import (
    FORMS,
    EnumCodec,
    SubtypeCodec,
    TextCodec,
    qualified,
)
from litestar_queues_core.conversion.tags import Untyped

UNTYPED = Untyped()
TEXT_KEYS = TextKeys()
PLAIN: Mapping[Any, Codec] = {
    None: Plain("None", "null"),
    type(None): Plain("None", "null"),
    bool: Plain("bool", "number"),
    int: Plain("int", "number"),
    float: Plain("float", "number"),
    str: Plain("str", "string"),
}


def codec_for(annotation: Any) -> Codec:
    """Return how values of *annotation* travel; what cannot be understood is untyped."""
    return Planner().plan(annotation)


class Planner:
    """Plans one annotation with all that it contains, itself perhaps.

    Attributes:
        classes: The codecs of the classes met so far; those still unfinished are among them.
    """

    def __init__(self) -> None:
        self.classes: dict[Any, Codec] = {}

    def plan(self, annotation: Any) -> Codec:
        """Return the codec of *annotation*."""
        if isinstance(annotation, Unresolved):
            return Untyped(annotation.reason)
        annotation = _bare(annotation)
        if annotation in (Any, object):
            return UNTYPED
        try:
            return PLAIN.get(annotation) or self._compound(annotation)
        except (Refusal, TypeError) as error:
            return Untyped(f"its annotation {_called(annotation)} is of no use: {error}")

    def _compound(self, annotation: Any) -> Codec:
        origin: Any = get_origin(annotation) or annotation
        if plan := _GENERIC.get(origin):
            return plan(self, annotation, get_args(annotation))
        if origin not in self.classes:
            plan_new = _class if isinstance(origin, type) else _alias
            self.classes[origin] = plan_new(self, origin)
        return self.classes[origin]


def _list(planner: Planner, annotation: Any, arguments: tuple[Any, ...]) -> Codec:
    item = planner.plan(arguments[0] if arguments else Any)
    codec = ArrayCodec(_called(annotation), item, (list, tuple), list)
    codec.encodes, codec.decodes = item.encodes, item.decodes
    return codec


def _set(planner: Planner, annotation: Any, arguments: tuple[Any, ...]) -> Codec:
    item = planner.plan(arguments[0] if arguments else Any)
    build = frozenset if frozenset in (annotation, get_origin(annotation)) else set
    return ArrayCodec(_called(annotation), item, (AbstractSet,), build)


def _tuple(planner: Planner, annotation: Any, arguments: tuple[Any, ...]) -> Codec:
    if annotation is tuple:
        arguments = (Any, ...)
    if arguments[1:] == (...,):
        item = planner.plan(arguments[0])
        return ArrayCodec(_called(annotation), item, (tuple,), tuple)
    codec = TupleCodec(_called(annotation), tuple, tuple, least=len(arguments))
    codec.items = [planner.plan(one) for one in arguments]
    return codec


def _mapping(planner: Planner, annotation: Any, arguments: tuple[Any, ...]) -> Codec:
    key, item = arguments or (str, Any)
    key_codec, codec = _key(planner.plan(key)), planner.plan(item)
    if key_codec is None and not (codec.encodes or codec.decodes):
        return TEXT_KEYS
    return MappingCodec(_called(annotation), key_codec, codec)


def _key(codec: Codec) -> Codec | None:
    """Return how keys are written that travel as *codec* says elsewhere; ``None`` as they are."""
    if isinstance(codec, Untyped) and codec.reason:
        raise Refusal(codec.reason)
    if isinstance(codec, Plain | Untyped) and "string" in codec.shapes:
        return None
    if codec.shapes == frozenset({"string"}):
        return codec
    if codec.shapes == frozenset({"number"}):
        return NumberKey(codec, int if codec is PLAIN[int] else None)
    raise Refusal("its keys can be neither text nor written as text")


def _union(planner: Planner, annotation: Any, arguments: tuple[Any, ...]) -> Codec:
    codecs = dict.fromkeys(planner.plan(one) for one in arguments)
    for codec in codecs:
        if isinstance(codec, Untyped):
            return codec
    members = [one for one in codecs if one.encodes or one.decodes]
    plain = {shape for one in codecs if one not in members for shape in one.shapes}
    if not members:
        return Plain(_called(annotation), *sorted(plain))
    shapes = [shape for one in members for shape in one.shapes]
    if len(plain.union(shapes)) < len(shapes) + len(plain):
        raise Refusal("its members cannot be told apart in JSON")
    return UnionCodec(_called(annotation), members, Plain("plain JSON", *sorted(plain)))


def _literal(_: Planner, __: Any, values: tuple[Any, ...]) -> Codec:
    if isinstance(values[0], Enum) and len(set(map(type, values))) == 1:
        return EnumCodec(type(values[0]), UNTYPED)
    shapes = [shape for value in values if (shape := shape_of(value))]
    if len(shapes) < len(values):
        raise Refusal("its values are not all plain JSON")
    return Plain("Literal", *shapes)


def _alias(planner: Planner, alias: Any) -> Codec:
    """Plan what a ``type`` statement names; where that contains itself, values are untyped."""
    if not hasattr(alias, "__value__"):
        raise Refusal("values of this kind cannot travel")
    planner.classes[alias] = UNTYPED
    return planner.plan(alias.__value__)


def _class(planner: Planner, kind: type[Any]) -> Codec:
    if issubclass(kind, Enum):
        return EnumCodec(kind, UNTYPED)
    names = _field_names(kind)
    if names is not None:
        return _object(planner, kind, names)
    if hasattr(kind, "__required_keys__"):
        return _typed_dict(planner, kind)
    if hasattr(kind, "_field_defaults"):
        return _named_tuple(planner, kind)
    return _scalar(kind)


def _object(planner: Planner, kind: type[Any], names: Sequence[str]) -> Codec:
    hints = hints_of(kind)
    if any(isinstance(hint, InitVar) for hint in hints.values()):
        raise Refusal("an InitVar is not kept, and cannot be sent")
    codec = planner.classes[kind] = ObjectCodec(kind)
    codec.fields = {name: planner.plan(hints.get(name, Any)) for name in names}
    return codec


def _typed_dict(planner: Planner, kind: type[Any]) -> Codec:
    codec = planner.classes[kind] = TypedDictCodec(kind, UNTYPED)
    codec.fields = {name: planner.plan(hint) for name, hint in hints_of(kind).items()}
    return codec


def _named_tuple(planner: Planner, kind: Any) -> Codec:
    names: Sequence[str] = kind._fields
    hints = hints_of(kind)
    least = len(names) - len(kind._field_defaults)
    codec = TupleCodec(kind.__name__, kind, lambda items: kind(*items), least)
    planner.classes[kind] = codec
    codec.items = [planner.plan(hints.get(name, Any)) for name in names]
    return codec


_LISTS = (list, Sequence, MutableSequence, Collection, Iterable)
_SETS = (set, frozenset, AbstractSet, MutableSet)
_MAPPINGS = (dict, Mapping, MutableMapping)
_GENERIC: dict[Any, Callable[[Planner, Any, tuple[Any, ...]], Codec]] = {
    **dict.fromkeys(_LISTS, _list),
    **dict.fromkeys(_SETS, _set),
    **dict.fromkeys(_MAPPINGS, _mapping),
    tuple: _tuple,
    Union: _union,
    types.UnionType: _union,
    Literal: _literal,
}


def _bare(annotation: Any) -> Any:
    """Strip what says nothing about how a value travels."""
    while True:
        if isinstance(annotation, TypeVar):
            annotation = annotation.__bound__ or Any
        elif get_origin(annotation) is Annotated:
            annotation = annotation.__origin__
        elif hasattr(annotation, "__supertype__"):
            annotation = annotation.__supertype__
        else:
            return annotation


def _called(annotation: Any) -> str:
    """Return what people call *annotation*."""
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _field_names(kind: type[Any]) -> Sequence[str] | None:
    if is_dataclass(kind):
        return [field.name for field in fields(kind) if field.init]
    return cast("Sequence[str] | None", getattr(kind, "__struct_fields__", None))


def _scalar(kind: type[Any]) -> Codec:
    for base in kind.__mro__:
        if form := FORMS.get(qualified(base)):
            return TextCodec(kind, form)
    for plain in (str, int, float):
        if issubclass(kind, plain):
            return SubtypeCodec(kind, plain)
    raise Refusal("values of this kind cannot travel")
