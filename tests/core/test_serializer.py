from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from litestar_queues_core.protocols import Serializer
from litestar_queues_core.serializer import JsonSerializer

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
serializer = JsonSerializer()


def test_it_is_a_serializer() -> None:
    assert isinstance(serializer, Serializer)


@given(JSON | st.floats(allow_nan=False, allow_infinity=False))
def test_plain_values_come_back(value: object) -> None:
    assert serializer.loads(serializer.dumps(value)) == value


@given(JSON)
def test_it_and_msgspec_read_each_other(value: object) -> None:
    assert msgspec.json.decode(serializer.dumps(value)) == value
    assert serializer.loads(msgspec.json.encode(value)) == value


def test_it_writes_compact_utf_8() -> None:
    assert serializer.dumps({"a": [1, None, "ü"]}) == '{"a":[1,null,"ü"]}'.encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [-float("inf")]}])
def test_what_json_cannot_express_is_not_written(value: object) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        serializer.dumps(value)


@pytest.mark.parametrize("data", [b"NaN", b"[Infinity]", b"-Infinity", b"{", b"\xff", b""])
def test_what_is_no_json_is_not_read(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        serializer.loads(data)


def test_other_types_are_refused() -> None:
    with pytest.raises(TypeError, match="Decimal"):
        serializer.dumps(Decimal(1))


def test_a_value_that_contains_itself_is_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)

    with pytest.raises(ValueError, match="Circular"):
        serializer.dumps(circle)


def test_lone_surrogates_are_replaced_and_nul_is_kept() -> None:
    data = serializer.dumps({"a\ud800": "b\x00\udfff"})

    assert serializer.loads(data) == {"a\ufffd": "b\x00\ufffd"}
    assert msgspec.json.decode(data) == {"a\ufffd": "b\x00\ufffd"}
