"""The plan of one function: how each argument travels, and the result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from inspect import Parameter
from typing import Any

from litestar_queues_core.conversion.codec import Codec, Plain, Refusal
from litestar_queues_core.conversion.containers import ArrayCodec, MappingCodec, UnionCodec
from litestar_queues_core.conversion.hints import hints_of
from litestar_queues_core.conversion.planner import UNTYPED, codec_for


class FunctionPlan:
    """How the arguments and the result of one function travel.

    Each method raises a :class:`Refusal` for what cannot travel, or cannot have travelled; the
    path of an argument begins with its name.
    """

    def __init__(self, arguments: Mapping[str, Codec], result: Codec) -> None:
        self._encoders = _needed(arguments, "encode")
        self._decoders = _needed(arguments, "decode")
        self._result = result

    def encode(self, values: dict[str, Any]) -> None:
        """Turn the arguments in *values* into plain JSON, in place."""
        for name, convert in self._encoders:
            if name in values:
                values[name] = _converted(convert, values[name], name)

    def decode(self, values: dict[str, Any]) -> None:
        """Turn *values* back into arguments, in place."""
        for name, convert in self._decoders:
            if name in values:
                values[name] = _converted(convert, values[name], name)

    def encode_result(self, value: Any) -> Any:
        """Return what the function returned as plain JSON."""
        return _converted(self._result.encode, value) if self._result.encodes else value

    def decode_result(self, value: Any) -> Any:
        """Return what the function returned."""
        return _converted(self._result.decode, value) if self._result.decodes else value


_Converters = tuple[tuple[str, Callable[[Any], Any]], ...]


def _needed(arguments: Mapping[str, Codec], direction: str) -> _Converters:
    return tuple(
        (name, getattr(codec, direction))
        for name, codec in arguments.items()
        if getattr(codec, f"{direction}s")
    )


def _converted(convert: Callable[[Any], Any], value: Any, name: str = "") -> Any:
    try:
        return convert(value)
    except Exception as error:
        raise Refusal.of(error, name) from error


def plan_function(function: Callable[..., Any], parameters: Iterable[Parameter]) -> FunctionPlan:
    """Return the plan for calls of *function* with *parameters*."""
    hints = hints_of(function)
    arguments: dict[str, Codec] = {}
    for parameter in parameters:
        codec = codec_for(hints[parameter.name]) if parameter.name in hints else UNTYPED
        arguments[parameter.name] = _of_parameter(parameter, codec)
    return FunctionPlan(arguments, codec_for(hints["return"]) if "return" in hints else UNTYPED)


def _of_parameter(parameter: Parameter, codec: Codec) -> Codec:
    """Return the codec of all that ``*args`` or ``**kwargs`` gathers, or of one value.

    A parameter whose default is ``None`` takes that, whatever its annotation says.
    """
    if parameter.kind is Parameter.VAR_POSITIONAL:
        return ArrayCodec("arguments", codec, (tuple,), list)
    if parameter.kind is Parameter.VAR_KEYWORD:
        return MappingCodec("keyword arguments", None, codec)
    if parameter.default is None and codec.encodes and "null" not in codec.shapes:
        return UnionCodec(f"{codec.name} | None", [codec], Plain("None", "null"))
    return codec
