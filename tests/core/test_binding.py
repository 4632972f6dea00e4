from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial, wraps
from inspect import Parameter
from typing import Any

import pytest
from hypothesis import assume, given, strategies as st

from litestar_queues_core.binding import Signature

NAMES = ["a", "b", "c", "d", "missing", "given", "refuse", "args", "kwargs"]
KINDS = [
    Parameter.POSITIONAL_ONLY,
    Parameter.POSITIONAL_OR_KEYWORD,
    Parameter.VAR_POSITIONAL,
    Parameter.KEYWORD_ONLY,
    Parameter.VAR_KEYWORD,
]
EMPTY: dict[Any, Any] = {Parameter.VAR_POSITIONAL: (), Parameter.VAR_KEYWORD: {}}
Call = tuple[tuple[Any, ...], dict[str, Any]]


def function_with(parameters: list[Parameter]) -> Callable[..., dict[str, Any]]:
    """A real function with these parameters, which returns its arguments."""
    scope: dict[str, Any] = {}
    exec(f"def function{inspect.Signature(parameters)}: return dict(locals())", scope)  # noqa: S102
    return scope["function"]  # type: ignore[no-any-return]


@st.composite
def functions(draw: st.DrawFn) -> Callable[..., dict[str, Any]]:
    names = draw(st.lists(st.sampled_from(NAMES), unique=True))
    size = len(names)
    kinds = sorted(draw(st.lists(st.sampled_from(KINDS), min_size=size, max_size=size)))
    parameters: list[Parameter] = []
    optional = False
    for name, kind in zip(names, kinds, strict=True):
        gathers = kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
        if gathers and parameters and parameters[-1].kind is kind:
            continue
        by_position = kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
        has_default = not gathers and ((by_position and optional) or draw(st.booleans()))
        optional = optional or (by_position and has_default)
        parameters.append(Parameter(name, kind, default=0 if has_default else Parameter.empty))
    return function_with(parameters)


calls = st.tuples(
    st.lists(st.integers(), max_size=5).map(tuple),
    st.dictionaries(st.sampled_from([*NAMES, "e"]), st.integers(), max_size=4),
)


def attempt(function: Callable[..., Any], call: Call) -> Any:
    """What a call returns, or the message with which it is refused."""
    try:
        return function(*call[0], **call[1])
    except TypeError as error:
        return str(error)


@given(functions(), calls)
def test_binding_does_what_python_does(function: Callable[..., Any], call: Call) -> None:
    signature = Signature(function)
    nothing = {
        name: EMPTY[one.kind] for name, one in signature.parameters.items() if one.kind in EMPTY
    }

    bound = attempt(signature.binder(), call)

    expected = attempt(function, call)
    if isinstance(expected, str):
        assert bound == expected
    else:
        assert nothing | dict(signature.defaults) | bound == expected


@given(functions(), calls)
def test_binding_keeps_what_inspect_calls_the_arguments(
    function: Callable[..., Any], call: Call
) -> None:
    # What inspect makes of a positional-only parameter given by name differs from a real call, in
    # 3.11 one way and in 3.13.0 another.
    by_position = inspect.Parameter.POSITIONAL_ONLY
    parameters = inspect.signature(function).parameters
    assume(not any(name in parameters and parameters[name].kind is by_position for name in call[1]))
    reference = attempt(inspect.signature(function).bind, call)

    if not isinstance(reference, str):
        assert Signature(function).binder()(*call[0], **call[1]) == reference.arguments


@given(functions(), calls)
def test_bound_arguments_call_the_function_alike(function: Callable[..., Any], call: Call) -> None:
    signature = Signature(function)
    expected = attempt(function, call)
    if isinstance(expected, str):
        return

    args, kwargs = signature.arrange(signature.binder()(*call[0], **call[1]))

    assert function(*args, **kwargs) == expected


@given(functions(), calls, st.data())
def test_what_is_injected_need_not_be_given(
    function: Callable[..., Any], call: Call, data: st.DataObject
) -> None:
    signature = Signature(function)
    kinds = {name: one.kind for name, one in signature.parameters.items()}
    named: set[Any] = {Parameter.KEYWORD_ONLY}
    if Parameter.VAR_POSITIONAL not in kinds.values():
        named.add(Parameter.POSITIONAL_OR_KEYWORD)
    possible = [name for name, kind in kinds.items() if kind in named]
    injected = data.draw(st.sets(st.sampled_from(possible)) if possible else st.just(set[str]()))

    bound = attempt(signature.binder(frozenset(injected)), call)

    kept = [one for name, one in signature.parameters.items() if name not in injected]
    without = function_with(kept)
    own = {name: value for name, value in call[1].items() if name not in injected}
    expected = attempt(Signature(without).binder(), (call[0], own))
    if isinstance(expected, str):
        assert isinstance(bound, str)
    else:
        assert bound == expected | {name: call[1][name] for name in injected & call[1].keys()}


def test_only_what_was_given_is_kept() -> None:
    def send(to: str, subject: str = "hello", *, urgent: bool = False) -> None: ...

    signature = Signature(send)

    assert signature.binder()("me") == {"to": "me"}
    assert signature.binder()("me", "hello") == {"to": "me", "subject": "hello"}
    assert signature.defaults == {"subject": "hello", "urgent": False}


def test_errors_name_the_function() -> None:
    def send(to: str, *, urgent: bool) -> None: ...

    bind = Signature(send).binder()

    qualname = "test_errors_name_the_function.<locals>.send"
    with pytest.raises(TypeError, match=rf"{qualname}\(\) missing 1 required positional .* 'to'"):
        bind(urgent=True)
    with pytest.raises(TypeError, match=rf"{qualname}\(\) got an unexpected keyword argument 'x'"):
        bind("me", urgent=True, x=1)


def test_an_injected_parameter_takes_no_place_among_the_positional_ones() -> None:
    def store(database: object, number: int, note: str = "") -> None: ...

    bind = Signature(store).binder(frozenset({"database", "unknown"}))

    assert bind(5, "x") == {"number": 5, "note": "x"}
    assert bind(5, database="test") == {"database": "test", "number": 5}
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'number'"):
        bind()


def test_the_id_and_the_context_of_the_job_cannot_be_given() -> None:
    def strict(number: int, *, _job_id: str, _task_context: object) -> None: ...

    def lax(number: int, **others: object) -> None: ...

    assert Signature(strict).reserved == {"_job_id", "_task_context"}
    assert Signature(strict).binder()(1) == {"number": 1}
    assert Signature(lax).reserved == frozenset()
    with pytest.raises(TypeError, match="unexpected keyword argument '_job_id'"):
        Signature(strict).binder()(1, _job_id="x")
    with pytest.raises(TypeError, match=r"lax\(\) gets '_task_context' from its worker"):
        Signature(lax).binder()(1, other=2, _task_context=3)


@pytest.mark.parametrize(
    "function",
    [
        lambda _job_id, /, number: None,
        lambda _job_id, *numbers: None,
        lambda number, *_job_id: None,
    ],
)
def test_what_a_worker_provides_must_be_a_parameter_that_can_be_named(
    function: Callable[..., Any],
) -> None:
    with pytest.raises(
        TypeError, match=r"'_job_id' is provided at run time.* make it keyword-only"
    ):
        Signature(function)


def test_the_same_holds_for_injected_parameters() -> None:
    def store(database: object, *numbers: int) -> None: ...

    with pytest.raises(TypeError, match="'database' is provided at run time"):
        Signature(store).binder(frozenset({"database"}))


def test_partials_and_decorated_functions_bind_what_is_left() -> None:
    def add(a: int, b: int, c: int = 0) -> int:
        return a + b + c

    @wraps(add)
    def logged(*args: Any, **kwargs: Any) -> int:
        return add(*args, **kwargs)

    assert Signature(partial(add, 1, c=5)).binder()(2) == {"b": 2}
    assert Signature(logged).binder()(1, b=2) == {"a": 1, "b": 2}


def test_a_stored_argument_can_be_missing_only_if_it_has_a_name() -> None:
    def move(x: int, y: int = 7, z: int = 9, /) -> None: ...

    signature = Signature(move)

    assert signature.arrange({"x": 1, "z": 3}) == ((1, 7, 3), {})
    assert signature.arrange({"x": 1}) == ((1,), {})
    with pytest.raises(TypeError, match="argument 'x' is missing"):
        signature.arrange({"y": 1})


def test_a_callable_without_a_signature_is_refused() -> None:
    with pytest.raises(TypeError, match="has no signature"):
        Signature(iter)
