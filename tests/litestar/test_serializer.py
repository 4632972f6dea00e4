from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, strategies as st

from litestar_queues import PayloadError, QueueConfig, QueueService, task
from litestar_queues.serializer import MsgspecSerializer
from litestar_queues_core.protocols import Serializer
from litestar_queues_core.serializer import JsonSerializer
from litestar_queues_core.stores.memory import MemoryBackendConfig

ours, theirs = MsgspecSerializer(), JsonSerializer()

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    scalars | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
odd_text = st.text(st.characters(categories=["Cs", "Lu", "Cc"]))
contained: list[Any] = []
contained.append(contained)


@given(values)
def test_each_reads_what_the_other_writes(value: object) -> None:
    assert theirs.loads(ours.dumps(value)) == value
    assert ours.loads(theirs.dumps(value)) == value


@given(st.lists(odd_text) | st.dictionaries(odd_text, st.none()))
def test_both_replace_what_utf_8_cannot_express(value: object) -> None:
    cleaned = theirs.loads(theirs.dumps(value))

    assert ours.loads(ours.dumps(value)) == cleaned


NO_JSON: dict[str, object] = {
    "nan": float("nan"),
    "infinity": [1.5, float("inf")],
    "deep": {"deep": [{"er": float("-inf")}]},
    "itself": contained,
    "datetime": datetime(2026, 1, 1, tzinfo=UTC),
    "uuid": UUID(int=1),
    "bytes": b"bytes",
    "set": {1, 2},
    "object": [object()],
    "datetime under a number": {"x": {2: datetime(2026, 1, 1, tzinfo=UTC)}},
    "object beside None": {None: 1, "x": object()},
}


@pytest.mark.parametrize("value", NO_JSON.values(), ids=NO_JSON)
@pytest.mark.parametrize("serializer", [ours, theirs], ids=lambda one: type(one).__name__)
def test_both_refuse_what_is_no_json(serializer: Serializer, value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        serializer.dumps(value)


@pytest.mark.parametrize("data", [b"NaN", b"[1,]", b"{", b"", b"\xff", b'"\xed\xa0\x80"', b"1 2"])
@pytest.mark.parametrize("serializer", [ours, theirs], ids=lambda one: type(one).__name__)
def test_both_refuse_bytes_that_are_no_json(serializer: Serializer, data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (whose message it is depends on the serializer)
        serializer.loads(data)


async def test_a_wrong_argument_is_refused_whichever_serializer_there_is() -> None:
    @task("count")
    async def count(number: int) -> int:
        return number

    config = QueueConfig(queue_backend=MemoryBackendConfig(), serializer=ours)
    async with QueueService(config) as service:
        with pytest.raises(PayloadError, match="number"):
            await service.enqueue(count, datetime(2026, 1, 1, tzinfo=UTC))
