from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, strategies as st

from litestar_queues_core.lanes import lane_of
from litestar_queues_core.model import AttemptRecord, Backoff, JobMeta, TaskSpec
from litestar_queues_core.wire import (
    decode_errors,
    decode_meta,
    decode_spec,
    encode_errors,
    encode_meta,
    encode_spec,
)

text = st.text(st.characters(exclude_categories=["Cs"]))
number = st.floats(min_value=0, max_value=1e9)
instant = st.integers(min_value=0, max_value=2**53)
backoffs = st.builds(Backoff, first=number, factor=number, ceiling=number, jitter=number)
specs = st.builds(
    TaskSpec,
    task=text,
    queue=text,
    priority=st.integers(-1000, 1000),
    timeout=st.none() | number,
    retries=st.integers(0, 10_000),
    backoff=backoffs,
    max_rescues=st.integers(0, 100),
    keep_result=st.booleans(),
    description=st.none() | text,
    log_level=text,
    quiet_success=st.booleans(),
    execution_backend=st.none() | text,
    execution_profile=st.none() | text,
)
records = st.builds(
    AttemptRecord,
    delivery=st.integers(1, 10_000),
    worker=text,
    started_ms=instant,
    finished_ms=instant,
    outcome=text,
    type=text,
    message=text,
    traceback=text,
)
metas = st.builds(
    JobMeta,
    group=st.none() | text,
    headers=st.dictionaries(text, text),
    schedule_key=st.none() | text,
    schedule_ms=st.none() | instant,
)


@given(specs)
def test_a_spec_survives(spec: TaskSpec) -> None:
    read = decode_spec(encode_spec(spec))

    assert read == spec
    assert read.lane == spec.lane == lane_of(spec.queue, spec.execution_backend)


@given(st.lists(records, max_size=10))
def test_attempt_records_survive(errors: list[AttemptRecord]) -> None:
    assert decode_errors(encode_errors(errors)) == errors


@given(metas)
def test_what_few_jobs_carry_survives(meta: JobMeta) -> None:
    assert decode_meta(encode_meta(meta)) == meta


def test_nothing_takes_no_bytes() -> None:
    assert encode_errors([]) is None
    assert decode_errors(None) == []
    assert encode_meta(None) is None
    assert decode_meta(None) is None


def test_only_what_differs_from_the_defaults_is_written() -> None:
    assert json.loads(encode_spec(TaskSpec(task="t"))) == {"task": "t"}
    spec = TaskSpec(task="t", retries=2, backoff=Backoff(first=9.0))
    assert json.loads(encode_spec(spec)) == {"task": "t", "retries": 2, "backoff": {"first": 9.0}}


def test_a_spec_is_encoded_once_and_decoded_to_one_object() -> None:
    spec, same = TaskSpec(task="t", retries=1), TaskSpec(task="t", retries=1)

    assert encode_spec(spec) is encode_spec(spec)
    assert decode_spec(encode_spec(spec)) is decode_spec(encode_spec(same))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"task": "t", "colour": "red"}, TaskSpec(task="t")),
        ({"task": "t", "lane": "elsewhere"}, TaskSpec(task="t")),
        (
            {"task": "t", "backoff": {"first": 2.0, "shape": "round"}},
            TaskSpec(task="t", backoff=Backoff(first=2.0)),
        ),
    ],
)
def test_fields_of_a_newer_version_are_ignored(data: dict[str, Any], expected: TaskSpec) -> None:
    assert decode_spec(json.dumps(data).encode()) == expected


def test_records_and_headers_of_a_newer_version_are_read_too() -> None:
    record = AttemptRecord(delivery=1, worker="w", started_ms=2, finished_ms=3, outcome="failed")
    errors = [{one.name: getattr(record, one.name) for one in fields(record)} | {"host": "h"}]

    assert decode_errors(json.dumps(errors).encode()) == [record]
    assert decode_meta(b'{"group":"g","colour":"red"}') == JobMeta(group="g")


def test_fields_of_an_older_version_get_their_defaults() -> None:
    assert decode_spec(b'{"task":"t"}') == TaskSpec(task="t")
    assert decode_meta(b"{}") == JobMeta()
    (record,) = decode_errors(
        b'[{"delivery":1,"worker":"w","started_ms":2,"finished_ms":3,"outcome":"failed"}]'
    )
    assert (record.type, record.message, record.traceback) == ("", "", "")
