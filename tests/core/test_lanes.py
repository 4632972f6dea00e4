from __future__ import annotations

import string

from hypothesis import given, strategies as st

from litestar_queues_core.lanes import (
    executor_of,
    is_suspect,
    lane_of,
    ordinary,
    queue_of,
    suspects_of,
)

names = st.text(string.ascii_letters + string.digits + "_.:/-", min_size=1, max_size=100)


@given(queue=names, executor=names)
def test_a_lane_can_be_taken_apart(queue: str, executor: str) -> None:
    lane = lane_of(queue, executor)

    assert queue_of(lane) == queue_of(suspects_of(lane)) == queue
    assert executor_of(lane) == executor_of(suspects_of(lane)) == executor


@given(queue=names)
def test_local_work_waits_in_the_lane_of_its_queue(queue: str) -> None:
    assert lane_of(queue) == lane_of(queue, None) == lane_of(queue, "local") == queue
    assert executor_of(queue) == "local"


@given(queue=names, executor=st.none() | names)
def test_every_lane_has_one_lane_of_suspects(queue: str, executor: str | None) -> None:
    lane = lane_of(queue, executor)
    suspects = suspects_of(lane)

    assert not is_suspect(lane)
    assert is_suspect(suspects)
    assert suspects_of(suspects) == suspects
    assert ordinary(suspects) == ordinary(lane) == lane


@given(st.lists(st.tuples(names, st.none() | names), min_size=2, max_size=2))
def test_different_work_waits_in_different_lanes(pairs: list[tuple[str, str | None]]) -> None:
    (first, second) = [(queue, executor or "local") for queue, executor in pairs]

    assert (lane_of(*first) == lane_of(*second)) is (first == second)
