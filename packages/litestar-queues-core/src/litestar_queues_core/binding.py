"""Binding the arguments of a call by the machinery with which Python itself calls functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from inspect import Parameter
from itertools import takewhile
from typing import Any

from litestar_queues_core.conversion import FunctionPlan, plan_function

JOB_ID = "_job_id"
CONTEXT = "_task_context"
RESERVED = frozenset({JOB_ID, CONTEXT})
NONE: frozenset[str] = frozenset()

Bind = Callable[..., dict[str, Any]]

_KINDS = (
    Parameter.POSITIONAL_ONLY,
    Parameter.POSITIONAL_OR_KEYWORD,
    Parameter.VAR_POSITIONAL,
    Parameter.KEYWORD_ONLY,
    Parameter.VAR_KEYWORD,
)
_STARS: Mapping[Any, str] = {Parameter.VAR_POSITIONAL: "*", Parameter.VAR_KEYWORD: "**"}
_MISSING = object()


class Signature:
    """What a task's function takes, seen from where it is called.

    Attributes:
        function: The function.
        parameters: Those that the producer can give, ``*args`` and ``**kwargs`` included.
        reserved: ``_job_id`` and ``_task_context``, if the function has them.
        defaults: The values of parameters that are not given.

    Raises:
        TypeError: The function has no signature, or cannot be called with what it is provided with
            at run time.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        everything = _parameters_of(function)
        self.parameters: dict[str, Parameter] = {
            name: one for name, one in everything.items() if name not in RESERVED
        }
        self.reserved: frozenset[str] = RESERVED.intersection(everything)
        self.defaults: Mapping[str, Any] = {
            name: one.default
            for name, one in self.parameters.items()
            if one.default is not one.empty
        }
        _check_provided(everything, self.reserved)
        self._binders: dict[frozenset[str], Bind] = {}
        special = (Parameter.POSITIONAL_ONLY, *_STARS)
        self._by_name = all(one.kind not in special for one in self.parameters.values())

    @cached_property
    def plan(self) -> FunctionPlan:
        """How the arguments and the result travel.

        Made when first needed; by then all that the annotations name has been defined.
        """
        return plan_function(self.function, self.parameters.values())

    def binder(self, injected: frozenset[str] = NONE) -> Bind:
        """Return a function with this signature that returns its arguments by name.

        It raises the ``TypeError`` that a call of the task's function would raise.  Only
        what was given is in the result: a default belongs to the code that runs the job.

        Args:
            injected: Parameters that are provided at run time.  They can be given, by name,
                but need not be.
        """
        if injected not in self._binders:
            _check_provided(self.parameters, injected)
            self._binders[injected] = _compile(self.function, self.parameters, injected)
        return self._binders[injected]

    def arrange(self, values: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return arguments by name, which are used up, in the form of a call.

        Raises:
            TypeError: One is missing that can only be given by position.
        """
        if self._by_name:
            return (), values
        positional = self._take_positional(values)
        for name, one in self.parameters.items():
            if one.kind is Parameter.VAR_POSITIONAL:
                positional.extend(values.pop(name, ()))
            elif one.kind is Parameter.VAR_KEYWORD:
                values |= values.pop(name, {})
        return tuple(positional), values

    def _take_positional(self, values: dict[str, Any]) -> list[Any]:
        kinds: set[Any] = {Parameter.POSITIONAL_ONLY}
        if any(
            one.kind is one.VAR_POSITIONAL and name in values
            for name, one in self.parameters.items()
        ):
            kinds.add(Parameter.POSITIONAL_OR_KEYWORD)
        names = [name for name, one in self.parameters.items() if one.kind in kinds]
        while names and names[-1] not in values:
            names.pop()
        for name in names:
            if name not in values and name not in self.defaults:
                raise TypeError(f"argument {name!r} is missing")
        return [values.pop(name) if name in values else self.defaults[name] for name in names]


def origin_of(function: Any) -> Any:
    """Return what *function* is underneath partial application and decorators."""
    while True:
        if isinstance(function, partial):
            function = function.func
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif hasattr(function, "__qualname__"):
            return function
        else:
            function = type(function).__call__


def _parameters_of(function: Callable[..., Any]) -> Mapping[str, Parameter]:
    try:
        return inspect.signature(function).parameters
    except ValueError as error:
        raise TypeError(f"{function!r} has no signature to bind arguments to: {error}") from error


def _check_provided(parameters: Mapping[str, Parameter], provided: frozenset[str]) -> None:
    """Check that what is provided can be given by name, whatever else is given."""
    gathers = any(one.kind is one.VAR_POSITIONAL for one in parameters.values())
    for name in provided.intersection(parameters):
        kind = parameters[name].kind
        if kind is not Parameter.KEYWORD_ONLY and (
            gathers or kind is not Parameter.POSITIONAL_OR_KEYWORD
        ):
            raise TypeError(
                f"the parameter {name!r} is provided at run time, by name: make it keyword-only "
                f"(put it after a '*' or after '*args')"
            )


def _compile(
    function: Callable[..., Any], parameters: Mapping[str, Parameter], injected: frozenset[str]
) -> Bind:
    qualname = origin_of(function).__qualname__
    injected = injected.intersection(parameters)
    missing, given, refuse = (_unused(word, parameters) for word in ("missing", "given", "refuse"))
    by_position = [one for name, one in parameters.items() if name not in injected]
    required = list(takewhile(_is_required, by_position))
    lines = [
        f"def bind({_header(by_position, injected, missing)}):",
        f" {given} = {{{', '.join(f'{one.name!r}: {one.name}' for one in required)}}}",
    ]
    others = [one for one in parameters.values() if one not in required]
    lines += [_line(one, missing, given, refuse) for one in others]
    lines.append(f" return {given}")
    scope: dict[str, Any] = {missing: _MISSING, refuse: partial(_refuse_reserved, qualname)}
    exec("\n".join(lines), scope)  # noqa: S102  (the names of parameters are all it is made of)
    bind: Bind = scope["bind"]
    bind.__qualname__ = qualname
    return bind


def _is_required(parameter: Parameter) -> bool:
    return parameter.default is parameter.empty and parameter.kind not in _STARS


def _unused(word: str, taken: Mapping[str, Parameter]) -> str:
    while word in taken:
        word += "_"
    return word


def _header(parameters: Sequence[Parameter], injected: frozenset[str], missing: str) -> str:
    """Return the parameters as a ``def`` lists them; injected ones by name only, all optional."""
    groups: dict[Any, list[str]] = {kind: [] for kind in _KINDS}
    for one in parameters:
        stars = _STARS.get(one.kind, "")
        optional = "" if _is_required(one) or stars else f"={missing}"
        groups[one.kind].append(f"{stars}{one.name}{optional}")
    first, middle, gathered, last, rest = groups.values()
    last += [f"{name}={missing}" for name in sorted(injected)]
    slash = ["/"] if first else []
    star = ["*"] if last and not gathered else []
    return ", ".join([*first, *slash, *middle, *star, *gathered, *last, *rest])


def _line(one: Parameter, missing: str, given: str, refuse: str) -> str:
    """Return the line that puts a parameter into what is given."""
    keep = f"{given}[{one.name!r}] = {one.name}"
    if one.kind is Parameter.VAR_POSITIONAL:
        return f" if {one.name}: {keep}"
    if one.kind is Parameter.VAR_KEYWORD:
        return f" if {one.name}: {refuse}({one.name}); {keep}"
    return f" if {one.name} is not {missing}: {keep}"


def _refuse_reserved(qualname: str, given: Mapping[str, Any]) -> None:
    for name in RESERVED.intersection(given):
        raise TypeError(f"{qualname}() gets {name!r} from its worker; it cannot be given")
