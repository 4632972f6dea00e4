from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given, strategies as st

from litestar_queues_core.ids import (
    JobIds,
    new_job_id,
    new_job_ids,
    new_lease_id,
)


def test_a_job_id_is_a_uuid_of_version_7_with_the_time_it_was_made() -> None:
    before = time.time_ns() // 1_000_000
    job_id = UUID(new_job_id())
    after = time.time_ns() // 1_000_000

    assert (job_id.version, job_id.variant) == (7, RFC_4122)
    assert before - 1000 <= job_id.int >> 80 <= after + 1000


def test_job_ids_are_text_in_the_usual_form() -> None:
    for job_id in new_job_ids(100):
        assert str(UUID(job_id)) == job_id


@given(st.lists(st.integers(min_value=0, max_value=300), max_size=20))
def test_job_ids_rise_from_batch_to_batch(sizes: list[int]) -> None:
    made = [one for size in sizes for one in new_job_ids(size)]

    assert len(made) == sum(sizes)
    assert all(first < second for first, second in pairwise(made))


def test_a_burst_within_one_millisecond_rises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_700_000_000_000_000_000)

    made = JobIds().take(50_000)

    assert all(first < second for first, second in pairwise(made))
    assert {UUID(one).version for one in made[::1000]} == {7}


def test_job_ids_rise_even_if_the_clock_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    clock: Iterator[int] = iter([2_000_000_000, 1_000_000_000, 3_000_000_000])
    monkeypatch.setattr(time, "time_ns", lambda: next(clock))
    source = JobIds()

    made = [source.take(1)[0] for _ in range(3)]

    assert made == sorted(set(made))


def test_threads_never_make_the_same_id() -> None:
    with ThreadPoolExecutor(8) as pool:
        batches = list(pool.map(new_job_ids, [500] * 40))

    made = [one for batch in batches for one in batch]
    assert len(set(made)) == 20_000
    assert all(batch == sorted(batch) for batch in batches)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_does_not_repeat_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 4_000_000_000_000_000_000)
    new_job_ids(1)
    reading, writing = os.pipe()
    if not (child := os.fork()):
        os.write(writing, new_job_id().encode())
        os._exit(0)
    mine = new_job_id()
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        theirs = pipe.read().decode()

    assert UUID(theirs).version == 7
    assert theirs[24:] != mine[24:]


def test_lease_ids_are_random() -> None:
    made = {new_lease_id() for _ in range(1000)}

    assert len(made) == 1000
    assert {UUID(one).version for one in made} == {4}
