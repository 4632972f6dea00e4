from __future__ import annotations

import inspect
import json
import math
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence, Set as AbstractSet
from dataclasses import InitVar, dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag, IntEnum, StrEnum
from functools import partial
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    TypedDict,
    TypeVar,
)
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from litestar_queues_core.conversion import FunctionPlan, Refusal, codec_for, plan_function

if TYPE_CHECKING:
    from somewhere import Unknown  # type: ignore[import-not-found]

T = TypeVar("T")
Moment = TypeVar("Moment", bound=date | int)
UserId = NewType("UserId", UUID)


class Color(StrEnum):
    RED = "red"
    BLUE = "blue"


class Size(IntEnum):
    SMALL = 1


class Corner(Enum):
    LEFT = (0, 1)
    ORIGIN = date(2000, 1, 1)


class Right(Flag):
    READ = 1
    WRITE = 2


class Text(str):
    __slots__ = ()


class Amount(Decimal):
    pass


class Number(int):
    pass


class Point(NamedTuple):
    when: date
    label: str = "here"


class Row(TypedDict):
    id: UUID
    note: NotRequired[str]


class Plan(TypedDict, total=False):
    when: date
    next: Plan


@dataclass(frozen=True)
class Leaf:
    when: datetime
    tags: frozenset[str] = frozenset()


@dataclass
class Node:
    name: str
    leaf: Leaf | None = None
    children: list[Node] = field(default_factory=list)
    size: int = field(default=0, init=False)


@dataclass
class Box(Generic[T]):
    content: T


@dataclass
class Lossy:
    given: InitVar[int]


class Struct(msgspec.Struct):
    id: UUID
    parts: list[Point] = []


def travel(annotation: Any, value: Any) -> Any:
    """What arrives of a value; its way is through real JSON."""
    codec = codec_for(annotation)
    return codec.decode(json.loads(json.dumps(codec.encode(value), allow_nan=False)))


def refusal(annotation: Any, value: Any) -> str:
    """Why a value cannot travel, after the place in it."""
    with pytest.raises(Refusal) as caught:
        codec_for(annotation).encode(value)
    return f"{caught.value.path}: {caught.value.reason}"


def refused(annotation: Any, data: Any) -> str:
    """Why something that is received cannot be meant."""
    with pytest.raises(Refusal) as caught:
        codec_for(annotation).decode(data)
    return f"{caught.value.path}: {caught.value.reason}"


def whole_seconds(offset: timedelta) -> timezone:
    return timezone(timedelta(seconds=offset // timedelta(seconds=1)))


OFFSETS = st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(whole_seconds)
DATETIMES = st.datetimes() | st.datetimes(timezones=st.just(UTC) | OFFSETS)
TIMES = st.times() | st.times(timezones=OFFSETS)
SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    type(None): st.none(),
    bool: st.booleans(),
    int: st.integers(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    str: st.text(st.characters(exclude_categories=["Cs"])),
    datetime: DATETIMES,
    date: st.dates(),
    time: TIMES,
    timedelta: st.timedeltas(),
    UUID: st.uuids(),
    Decimal: st.decimals(allow_nan=False),
    bytes: st.binary(),
}
ENUMS: dict[Any, st.SearchStrategy[Any]] = {
    kind: st.sampled_from(kind) for kind in (Color, Size, Corner)
}
KEYS: dict[Any, st.SearchStrategy[Any]] = {
    **{kind: values for kind, values in SCALARS.items() if kind is not type(None)},
    Color: st.sampled_from(Color),
    Size: st.sampled_from(Size),
    Right: st.integers(0, 3).map(Right),
    Literal[1, 2]: st.sampled_from([1, 2]),
    Literal["a", "b"]: st.sampled_from(["a", "b"]),
    UserId: st.uuids(),
    Text: st.text("ab").map(Text),
    Number: st.integers().map(Number),
}
HASHABLE = st.sampled_from([*SCALARS, *ENUMS])


@st.composite
def hashable(draw: st.DrawFn) -> tuple[Any, st.SearchStrategy[Any]]:
    """An annotation of hashable values, and its values."""
    kind = draw(HASHABLE)
    return kind, {**SCALARS, **ENUMS}[kind]


def of(origin: Any, *arguments: Any) -> Any:
    return origin[arguments]


def containers(
    inner: st.SearchStrategy[tuple[Any, st.SearchStrategy[Any]]],
) -> st.SearchStrategy[tuple[Any, st.SearchStrategy[Any]]]:
    def objects(key: Any, keys: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return inner.map(
            lambda one: (of(dict, key, one[0]), st.dictionaries(keys, one[1], max_size=3))
        )

    return st.one_of(
        inner.map(lambda one: (of(list, one[0]), st.lists(one[1], max_size=3))),
        inner.map(lambda one: (of(tuple, one[0], ...), st.lists(one[1], max_size=3).map(tuple))),
        st.tuples(inner, inner).map(
            lambda two: (of(tuple, two[0][0], two[1][0]), st.tuples(two[0][1], two[1][1]))
        ),
        hashable().map(lambda one: (of(set, one[0]), st.sets(one[1], max_size=3))),
        hashable().map(lambda one: (of(frozenset, one[0]), st.frozensets(one[1], max_size=3))),
        objects(str, SCALARS[str]),
        st.sampled_from(list(KEYS)).flatmap(lambda kind: objects(kind, KEYS[kind])),
        inner.map(lambda one: (one[0] | None, st.none() | one[1])),
    )


@settings(max_examples=200)
@given(st.recursive(hashable(), containers, max_leaves=4), st.data())
def test_annotated_values_arrive_as_they_were(
    case: tuple[Any, st.SearchStrategy[Any]], data: st.DataObject
) -> None:
    annotation, values = case
    value = data.draw(values)

    arrived = travel(annotation, value)

    assert arrived == value
    assert type(arrived) is type(value)


def tagged_containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    keys = st.sampled_from(["$", "$tuple", "$datetime", "$x", "a", ""]) | SCALARS[str]
    frozen = st.one_of(*(SCALARS[kind] for kind in SCALARS)).map(lambda one: (one,))
    return st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.sets(frozen, max_size=3),
        st.frozensets(frozen, max_size=3),
        st.dictionaries(keys, inner, max_size=3),
    )


UNTYPED = st.recursive(st.one_of(*SCALARS.values()), tagged_containers, max_leaves=6)


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal with all their types."""
    if type(one) is not type(other) or one != other:
        return False
    if isinstance(one, dict):
        return all(same(one[key], other[key]) for key in one)
    return not isinstance(one, list | tuple) or all(map(same, one, other))


@settings(max_examples=200)
@given(UNTYPED)
def test_values_without_an_annotation_arrive_exactly(value: Any) -> None:
    assert same(travel(Any, value), value)


@given(UNTYPED)
def test_equal_values_are_encoded_alike(value: Any) -> None:
    codec = codec_for(Any)

    assert codec.encode(value) == codec.encode(codec.decode(codec.encode(value)))


NOW = datetime(2024, 2, 29, 12, 30, 15, 250, tzinfo=timezone(timedelta(hours=2)))
ID = UUID(int=5)


@pytest.mark.parametrize(
    ("annotation", "value", "wire"),
    [
        (datetime, NOW, "2024-02-29T12:30:15.000250+02:00"),
        (date, date(2024, 2, 29), "2024-02-29"),
        (time, time(12, 30), "12:30:00"),
        (timedelta, timedelta(seconds=90), "PT90S"),
        (timedelta, timedelta(days=-1, microseconds=-1), "-P1DT0.000001S"),
        (UUID, ID, "00000000-0000-0000-0000-000000000005"),
        (Decimal, Decimal("1.50"), "1.50"),
        (bytes, b"\x00\xff", "AP8="),
        (Color, Color.RED, "red"),
        (Size, Size.SMALL, 1),
        (Corner, Corner.LEFT, {"$tuple": [0, 1]}),
        (Right, Right.READ | Right.WRITE, 3),
        (Literal[Color.RED], Color.RED, "red"),
        (Literal["a", 1, None], "a", "a"),
        (Text, Text("x"), "x"),
        (Amount, Amount("2.5"), "2.5"),
        (UserId, ID, str(ID)),
        (Annotated[date, "of birth"], date(2000, 1, 1), "2000-01-01"),
        (list[date], [date(2000, 1, 1)], ["2000-01-01"]),
        (Sequence[UUID], [ID], [str(ID)]),
        (Iterable[UUID], [ID], [str(ID)]),
        (set[int], {3, 1, 2}, [1, 2, 3]),
        (AbstractSet[str], {"b", "a"}, ["a", "b"]),
        (tuple[int, date], (1, date(2000, 1, 1)), [1, "2000-01-01"]),
        (tuple[()], (), []),
        (tuple, (1, "x"), [1, "x"]),
        (dict[str, date], {"a": date(2000, 1, 1)}, {"a": "2000-01-01"}),
        (Mapping[int, str], {1: "a"}, {"1": "a"}),
        (dict[UUID, int], {ID: 1}, {str(ID): 1}),
        (dict[Color, int], {Color.RED: 1}, {"red": 1}),
        (dict[Size, date], {Size.SMALL: date(2000, 1, 1)}, {"1": "2000-01-01"}),
        (dict[Literal[1, 2], str], {2: "b"}, {"2": "b"}),
        (dict[bool, int], {True: 1}, {"true": 1}),
        (dict[Text, list[int]], {Text("a"): [1]}, {"a": [1]}),
        (dict[str | int, int], {"a": 1}, {"a": 1}),
        (datetime | None, None, None),
        (int | datetime, 5, 5),
        (int | datetime, True, True),
        (bool | date, True, True),
        (datetime | str, NOW, {"$datetime": "2024-02-29T12:30:15.000250+02:00"}),
        (datetime | str, "x", "x"),
        (list[date] | Leaf | Color, Color.BLUE, "blue"),
        (list[date] | Leaf | Color, Leaf(NOW), {"when": NOW.isoformat(), "tags": []}),
        (Point, Point(date(2000, 1, 1)), ["2000-01-01", "here"]),
        (Row, {"id": ID}, {"id": str(ID)}),
        (Row, {"id": ID, "more": (1,)}, {"id": str(ID), "more": {"$tuple": [1]}}),
        (Box[int], Box((1,)), {"content": {"$tuple": [1]}}),
        (T, (1,), {"$tuple": [1]}),
        (Moment | None, 5, 5),
        (Moment | None, date(2000, 1, 1), "2000-01-01"),
        (Any | date, date(2000, 1, 1), {"$date": "2000-01-01"}),
        (Literal[b"x", "y"], b"x", {"$bytes": "eA=="}),
        (date | dict[str, int], {"a": 1}, {"a": 1}),
        (date | Row, {"id": ID}, {"id": str(ID)}),
        (Text | list[date], Text("x"), "x"),
        (list[date | None] | Color, [None, date(2000, 1, 1)], [None, "2000-01-01"]),
        (dict[str, Plan], {"a": {"next": {}}}, {"a": {"next": {}}}),
        (object, [1, "a"], [1, "a"]),
        (list, [(1,)], [{"$tuple": [1]}]),
        (dict, {"a": {1}}, {"a": {"$set": [1]}}),
    ],
)
def test_the_wire_is_plain_json(annotation: Any, value: Any, wire: Any) -> None:
    encoded = codec_for(annotation).encode(value)

    assert encoded == wire
    arrived = travel(annotation, value)
    assert arrived == value
    assert type(arrived) is type(value)


def test_dataclasses_and_structs_travel_as_objects() -> None:
    tree = Node("root", Leaf(NOW, frozenset({"b", "a"})), [Node("child")])
    struct = Struct(ID, [Point(date(2000, 1, 1), "x")])

    assert travel(Node, tree) == tree
    assert codec_for(Node).encode(tree) == {
        "name": "root",
        "leaf": {"when": NOW.isoformat(), "tags": ["a", "b"]},
        "children": [{"name": "child", "leaf": None, "children": []}],
    }
    assert travel(Struct, struct) == struct
    assert codec_for(Struct).encode(struct) == {"id": str(ID), "parts": [["2000-01-01", "x"]]}


def test_keys_that_are_written_alike_are_refused() -> None:
    class Single(UUID):
        __hash__ = object.__hash__

        def __eq__(self, other: object) -> bool:
            return self is other

    assert "has different keys that are written alike" in refusal(
        dict[UUID, int], {Single(int=1): 1, Single(int=1): 2}
    )


def test_fields_may_come_and_go_between_versions() -> None:
    old = {"when": NOW.isoformat(), "removed": 1}

    assert codec_for(Leaf).decode(old) == Leaf(NOW)
    assert codec_for(Point).decode(["2000-01-01"]) == Point(date(2000, 1, 1))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the type statement is new in 3.12")
def test_type_statements_are_understood() -> None:
    scope: dict[str, Any] = {"UUID": UUID}
    source = "type Ids = list[UUID]\ntype Tree = dict[str, Tree] | tuple[int, ...]"
    exec(source, scope)  # noqa: S102

    assert codec_for(scope["Ids"]).encode([ID]) == [str(ID)]
    assert travel(scope["Tree"], {"a": {"b": (1,)}}) == {"a": {"b": (1,)}}


@pytest.mark.parametrize(
    "annotation",
    [int, str, float, bool, None, int | str | None, list[int], list[list[str]], Literal["a"]],
)
def test_plain_json_is_not_looked_at(annotation: Any) -> None:
    codec = codec_for(annotation)

    assert not codec.encodes
    assert not codec.decodes


@pytest.mark.parametrize("annotation", [dict[str, int], list[dict[str, str]], Mapping[str, int]])
def test_received_objects_of_plain_json_are_not_looked_at(annotation: Any) -> None:
    assert not codec_for(annotation).decodes


@pytest.mark.parametrize(
    ("annotation", "value", "reason"),
    [
        (datetime, "2024-01-01", ": must be datetime, not str"),
        (date, NOW, ": must be date, not datetime"),
        (Color, "red", ": must be Color, not str"),
        (list[datetime], [NOW, 5], "[1]: must be datetime, not int"),
        (list[datetime], {NOW}, ": must be list[datetime.datetime], not set"),
        (dict[str, list[date]], {"a": [1]}, "['a'][0]: must be date, not int"),
        (set[date], {5}, "[5]: must be date, not int"),
        (tuple[int, date], (1,), ": must have 2 items, not 1"),
        (tuple[int, date], ("x", date(2000, 1, 1)), "[0]: must be int, not str"),
        (dict[str, int], {1: 2}, ": has the key 1, but its keys must be str"),
        (list[dict[str, int]], [{1: 2}], "[0]: has the key 1, but its keys must be str"),
        (dict[str, date], {1: NOW}, "[1]: is a key and must be str, not int"),
        (dict[int, str], {"1": "a"}, "['1']: is a key and must be int, not str"),
        (dict[int, str], {True: "a"}, "[True]: is a key and must be int, not bool"),
        (dict[date, int], {"x": 1}, "['x']: must be date, not str"),
        (Node, Node("a", Leaf("now")), ".leaf.when: must be datetime, not str"),  # type: ignore[arg-type]
        (Leaf, Node("a"), ": must be exactly Leaf, not Node"),
        (Point, (date(2000, 1, 1), "x"), ": must be Point, not tuple"),
        (Row, {"id": 5}, "['id']: must be UUID, not int"),
        (Row, {5: ID}, ": has the key 5; keys of a TypedDict are text"),
        (datetime | None, 5, ": must be datetime.datetime | None, not int"),
        (time, time(1, tzinfo=ZoneInfo("Europe/Berlin")), ": has a time zone without an offset"),
        (datetime, NOW.replace(tzinfo=timezone(timedelta(microseconds=1))), ": has a time zone"),
        (Any, float("nan"), ": is nan, which JSON cannot express"),
        (Any, {"a": [math.inf]}, "['a'][0]: is inf, which JSON cannot express"),
        (Any, {1: 2}, ": has the key 1; keys must be text, or the annotation say otherwise"),
        (Any, [Color.RED], "[0]: is of type Color, which cannot travel; possible: None, bool, int"),
        (Any, Leaf(NOW), ": is of type Leaf, which cannot travel; possible: "),
        (Any, OrderedDict(), ": is of type OrderedDict, which cannot travel"),
        (Path, Path("x"), "(its annotation Path is of no use: values of this kind cannot travel)"),
        (deque[int], deque([1]), "is of type deque, which cannot travel (its annotation"),
        (Leaf | Node, Leaf(NOW), "its members cannot be told apart in JSON); possible"),
        (Lossy, Lossy(1), "an InitVar is not kept, and cannot be sent"),
        (dict[Color, int], {"red": 1}, "['red']: must be Color, not str"),
        (dict[Color | None, int], {None: 1}, "its keys can be neither text nor written as text)"),
        (dict[Path, int], {Path("x"): 1}, "its annotation Path is of no use: values of this kind"),
        (dict[str | int, int], {1: 1}, ": has the key 1, but its keys must be str"),
        (dict[float, int], {math.inf: 1}, "[inf]: raised ValueError: Out of range float"),
        (dict[Leaf, int], {Leaf(NOW): 1}, "its keys can be neither text nor written as text)"),
    ],
)
def test_what_would_be_lost_is_refused(annotation: Any, value: Any, reason: str) -> None:
    assert reason in refusal(annotation, value)


def test_a_value_that_contains_itself_is_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)

    assert "is nested too deeply, or contains itself" in refusal(Any, circle)


@pytest.mark.parametrize(
    ("annotation", "data", "reason"),
    [
        (datetime, "yesterday", ": is no datetime: 'yesterday'"),
        (datetime, 5, ": must be the text of a datetime, not int"),
        (timedelta, "P1M", ": is no timedelta: 'P1M'"),
        (timedelta, "PT", ": is no timedelta"),
        (Decimal, "x", ": is no Decimal: 'x'"),
        (bytes, "?", ": is no bytes"),
        (Color, "green", ": is no Color: 'green'"),
        (list[date], ["2000-01-01", "x"], "[1]: is no date"),
        (tuple[int, date], [1], ": must have 2 items, not 1"),
        (dict[int, date], {"x": "2000-01-01"}, "['x']: raised JSONDecodeError: Expecting value"),
        (dict[int, date], {"1.5": "2000-01-01"}, "['1.5']: must be the text of a number"),
        (dict[Size, int], {"[]": 1}, "['[]']: must be the text of a number, not list"),
        (dict[Size, int], {"2": 1}, "['2']: is no Size: 2"),
        (dict[Color, int], {"green": 1}, "['green']: is no Color: 'green'"),
        (Leaf, {}, ": makes no Leaf: "),
        (Leaf, [], ": must be the object of a Leaf, not list"),
        (datetime | None, 5, ": is no datetime.datetime | None: 5"),
        (Any, {"$os.system": "true"}, ": has the unknown tag '$os.system'"),
        (Any, {"$datetime": 5}, ": must be the text of a datetime, not int"),
        (Any, {"$set": [[]]}, ": raised TypeError: unhashable"),
    ],
)
def test_what_no_sender_made_is_refused(annotation: Any, data: Any, reason: str) -> None:
    if annotation is Any:
        annotation, data, reason = list[Any], [data], f"[0]{reason}"
    assert refused(annotation, data).startswith(reason)


@given(st.timedeltas())
def test_durations_are_exact_and_msgspec_reads_them(value: timedelta) -> None:
    text = codec_for(timedelta).encode(value)

    assert codec_for(timedelta).decode(text) == value
    if abs(value) < timedelta(days=1):
        assert msgspec.convert(text, timedelta) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("P1W", timedelta(weeks=1)),
        ("P1DT2H3M4.5S", timedelta(days=1, hours=2, minutes=3, seconds=4.5)),
        ("-PT1M", timedelta(minutes=-1)),
        ("+PT0S", timedelta(0)),
    ],
)
def test_durations_of_others_are_read(text: str, value: timedelta) -> None:
    assert codec_for(timedelta).decode(text) == value


def plan(function: Callable[..., Any]) -> FunctionPlan:
    return plan_function(function, inspect.signature(function).parameters.values())


def test_a_function_is_planned_by_its_annotations() -> None:
    def ship(  # type: ignore[empty-body]
        order: UUID,
        at: date = None,  # type: ignore[assignment]  # noqa: RUF013
        *more: date,
        free: Any,
        **others: Any,
    ) -> Leaf: ...

    plan_of_ship = plan(ship)
    values = {"order": ID, "more": (date(2000, 1, 1),), "free": (1,), "others": {"$x": {1}}}
    wire = dict(values)
    plan_of_ship.encode(wire)

    assert wire == {
        "order": str(ID),
        "more": ["2000-01-01"],
        "free": {"$tuple": [1]},
        "others": {"$x": {"$set": [1]}},
    }
    plan_of_ship.decode(wire)
    assert wire == values | {"more": [date(2000, 1, 1)]}
    assert plan_of_ship.decode_result(plan_of_ship.encode_result(Leaf(NOW))) == Leaf(NOW)
    none = {"at": None}
    plan_of_ship.encode(none)
    assert none == {"at": None}


def test_an_annotation_that_cannot_be_resolved_harms_its_parameter_only() -> None:
    def mixed(good: date, bad: Unknown, worse: list[Unknown]) -> Unknown: ...

    values: dict[str, Any] = {"good": date(2000, 1, 1), "bad": (1,), "worse": [1]}
    plan(mixed).encode(values)

    assert values == {"good": "2000-01-01", "bad": {"$tuple": [1]}, "worse": [1]}
    with pytest.raises(Refusal, match=r"its annotation 'Unknown' cannot be resolved: name 'Unkn"):
        plan(mixed).encode({"bad": Leaf(NOW)})


def test_a_field_that_cannot_be_resolved_harms_its_field_only() -> None:
    @dataclass
    class Half:
        when: date
        what: Unknown

    assert travel(Half, Half(date(2000, 1, 1), (1,))) == Half(date(2000, 1, 1), (1,))


def test_partials_methods_and_callable_objects_have_plans() -> None:
    class Shop:
        def sell(self, when: date) -> None: ...

        async def __call__(self, when: date) -> None: ...

    for function in (Shop().sell, Shop(), partial(Shop().sell), partial(Shop().sell, when=NOW)):
        values: dict[str, Any] = {"when": date(2000, 1, 1)}
        plan(function).encode(values)
        assert values == {"when": "2000-01-01"}


def test_a_refusal_names_the_argument_and_the_place_in_it() -> None:
    def process(options: Node) -> None: ...

    values = {"options": Node("a", children=[Node("b", Leaf(5))])}  # type: ignore[arg-type]

    with pytest.raises(Refusal) as caught:
        plan(process).encode(values)
    assert caught.value.path == "options.children[0].leaf.when"


def test_an_error_in_a_user_s_class_is_kept_as_the_cause() -> None:
    @dataclass
    class Picky:
        n: int

        def __post_init__(self) -> None:
            if self.n < 0:
                raise ValueError("n must not be negative")

    with pytest.raises(Refusal, match="makes no Picky: n must not be negative") as caught:
        codec_for(list[Picky]).decode([{"n": -1}])
    assert isinstance(caught.value.cause, ValueError)


def test_identifiers_and_uuids_survive_a_set() -> None:
    ids = {uuid4() for _ in range(10)}

    assert travel(set[UUID], ids) == ids
    assert codec_for(set[UUID]).encode(ids) == sorted(map(str, ids))
