"""How much a worker asks for, and from where."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, strategies as st

from litestar_queues_core import QueueConfig, QueueService, Worker, task
from litestar_queues_core.executors.local import LocalExecutor
from litestar_queues_core.lanes import lane_of, queue_of
from litestar_queues_core.model import Job, Status
from litestar_queues_core.protocols import Store
from litestar_queues_core.serializer import JsonSerializer
from litestar_queues_core.settlements import Exchange, Kind
from litestar_queues_core.stores.memory import MemoryBackendConfig
from litestar_queues_core.testing.claimer import Claimer
from litestar_queues_core.testing.conformance.steps import suspect_job
from litestar_queues_core.testing.jobs import make_job, make_jobs, settled
from litestar_queues_core.worker.capacity import Capacity, Pace
from litestar_queues_core.worker.holdings import Holdings
from litestar_queues_core.worker.run import Run

PLACES = ("gpu", "process")


class Fleet:
    """A worker without code: it claims what its capacity says and ends what it is told to."""

    def __init__(self, claimer: Claimer, capacity: Capacity) -> None:
        self.claimer = claimer
        self.capacity = capacity
        self.holdings = Holdings()

    @property
    def running(self) -> list[Run]:
        return list(self.holdings.running)

    async def ask(self) -> Exchange:
        """Claim once, and start what was claimed."""
        answer = await self.claimer.exchange(wants=self.capacity.wants(self.holdings))
        self.holdings.take(answer.claimed)
        while self.holdings.buffer:
            self.holdings.begin(self.holdings.buffer.popleft(), 0.0)
        return answer

    async def round(self) -> list[Job]:
        """Claim as often as it takes to have asked every lane."""
        claimed = list((await self.ask()).claimed)
        while not self.capacity.round_over:
            claimed += (await self.ask()).claimed
        return claimed

    async def end(self, runs: Sequence[Run]) -> None:
        await self.claimer.exchange([settled(run.job, Kind.COMPLETE) for run in runs])
        for run in runs:
            self.holdings.end(run, 0.0)
            self.holdings.batch(1)
            self.holdings.forget(run)


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with MemoryBackendConfig().open() as opened:
        yield opened


async def fleet(
    store: Store,
    *,
    concurrency: int = 10,
    queues: Sequence[str] = (),
    limits: Mapping[str, int],
    executors: Sequence[str] = PLACES,
) -> Fleet:
    capacity = Capacity(
        concurrency=concurrency, queues=queues, limits=limits, executors=frozenset(executors)
    )
    return Fleet(await Claimer(store).open(), capacity)


@pytest.mark.parametrize("queues", [(), ("mail", "other")])
async def test_the_limit_of_a_queue_holds_over_all_its_lanes(
    store: Store, queues: Sequence[str]
) -> None:
    for place in (None, *PLACES):
        await store.enqueue(make_jobs(9, queue="mail", execution_backend=place))
        await suspect_job(store, queue="mail", execution_backend=place)
    await store.enqueue(make_jobs(3, queue="other"))
    worker = await fleet(store, queues=queues, limits={"mail": 2})
    most = 0

    for _ in range(30):
        await worker.round()
        used = Counter(run.job.queue for run in worker.running)
        most = max(most, used["mail"])
        await worker.end(worker.running)

    assert most == 2


async def test_no_lane_of_a_limited_queue_starves(store: Store) -> None:
    for place in (None, *PLACES):
        await store.enqueue(make_jobs(50, queue="mail", execution_backend=place))
    worker = await fleet(store, limits={"mail": 1})
    served: Counter[str] = Counter()

    for _ in range(30):
        served.update(job.lane for job in await worker.round())
        await worker.end(worker.running)

    assert set(served) == {"mail", "mail@gpu", "mail@process"}
    assert sum(served.values()) == 30
    assert min(served.values()) >= 5


@pytest.mark.parametrize("place", [None, *PLACES])
async def test_a_round_leaves_no_room_while_a_lane_has_work(
    store: Store, place: str | None
) -> None:
    await store.enqueue(make_jobs(50, queue="mail", execution_backend=place))
    worker = await fleet(store, limits={"mail": 4})

    for _ in range(5):
        await worker.round()
        assert len(worker.running) == 4
        await worker.end(worker.running[:2])


async def test_a_suspect_of_a_limited_queue_is_reached(store: Store) -> None:
    suspects = [
        await suspect_job(store, queue="mail", execution_backend=place) for place in (None, "gpu")
    ]
    worker = await fleet(store, limits={"mail": 1})

    first = await worker.round()
    await worker.end(worker.running)
    second = await worker.round()

    assert {job.id for job in (*first, *second)} == {job.id for job in suspects}


async def test_a_queue_without_a_limit_is_asked_everywhere_at_once(store: Store) -> None:
    for place in (None, *PLACES):
        await store.enqueue(make_jobs(2, queue="mail", execution_backend=place))
    worker = await fleet(store, queues=["mail"], limits={})

    await worker.ask()

    assert worker.capacity.round_over
    assert len(worker.running) == 6


async def test_a_worker_without_executors_asks_once(store: Store) -> None:
    await store.enqueue(make_jobs(5, queue="mail"))
    worker = await fleet(store, limits={"mail": 2}, executors=())

    await worker.ask()

    assert worker.capacity.round_over
    assert len(worker.running) == 2


def run_of(lane: str) -> Run:
    job = make_job(queue=queue_of(lane))
    return Run(Job(new=job, status=Status.RUNNING, lane=lane, due_ms=0), 0.0)


lanes = st.sampled_from(
    [lane_of(queue, place) for queue in ("a", "b", "c") for place in (None, *PLACES)]
)


@given(
    running=st.lists(lanes, max_size=12),
    waiting=st.lists(lanes, max_size=4),
    limits=st.dictionaries(st.sampled_from(["a", "b"]), st.integers(1, 12)),
    queues=st.sampled_from([(), ("a", "b", "c")]),
    mean=st.none() | st.sampled_from([0.0, 0.1, 1.0]),
    asked=st.integers(0, 8),
)
async def test_what_may_be_claimed_of_a_queue_never_goes_beyond_its_limit(
    *,
    running: list[str],
    waiting: list[str],
    limits: dict[str, int],
    queues: tuple[str, ...],
    mean: float | None,
    asked: int,
) -> None:
    capacity = Capacity(
        concurrency=10,
        queues=queues,
        limits=limits,
        executors=frozenset(PLACES),
    )
    holdings = Holdings()
    for lane in running:
        holdings.begin(run_of(lane), 0.0)
    holdings.buffer.extend(map(run_of, waiting))
    holdings.mean = mean
    for _ in range(asked):
        capacity.wants(holdings)

    wants = capacity.wants(holdings)

    used = Counter(queue_of(lane) for lane in (*running, *waiting))
    assert wants.limit >= 0
    for queue, limit in limits.items():
        caps = [cap for lane, cap in wants.lanes if queue_of(lane) == queue]
        assert min(caps, default=0) >= 0
        assert sum(caps) <= max(0, limit - used[queue])


class Elsewhere:
    """A second place that runs tasks just like the first."""

    name = "elsewhere"

    @asynccontextmanager
    async def open(self) -> AsyncIterator[LocalExecutor]:
        executor = LocalExecutor(serializer=JsonSerializer(), dependencies=None, threads=1)
        yield executor
        executor.close()


@pytest.mark.parametrize("here", [0, 20])
async def test_a_burst_ends_every_lane_of_a_limited_queue(here: int) -> None:
    running, most, done = 0, 0, 0

    @task(queue="mail")
    async def send() -> None:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        done += 1

    config = QueueConfig(queue_backend=MemoryBackendConfig(), execution_backends=[Elsewhere()])
    async with QueueService(config) as service:
        there = send.using(execution_backend="elsewhere")
        await service.enqueue_many([send.call() for _ in range(here)])
        await service.enqueue_many([there.call() for _ in range(40)])
        await Worker(service, burst=True, queue_concurrency={"mail": 2}).run()

    assert most == 2
    assert done == here + 40


async def test_what_completed_itself_is_not_run_again_by_an_answer_under_way() -> None:
    """The store may have looked at what is held a moment before the job's own commit."""
    holdings = Holdings()
    job = Job(new=make_job(), status=Status.RUNNING, lane="default", due_ms=0, delivery=1)
    again = Job(new=job.new, status=Status.RUNNING, lane="default", due_ms=0, delivery=2)
    holdings.take([job])

    holdings.complete(holdings.buffer.popleft())

    assert holdings.empty
    assert holdings.take([job]) == 0
    assert holdings.take([again]) == 1


@pytest.mark.parametrize(
    ("concurrency", "ended_in_a_second", "ahead"),
    [(10, 100, 10), (10, 2_000, 40), (100, 4_000, 100), (100, 10_000, 200), (100, 50_000, 400)],
)
def test_more_is_fetched_ahead_of_what_is_over_in_no_time(
    concurrency: int, ended_in_a_second: int, ahead: int
) -> None:
    moment = 100.0
    capacity = Capacity(
        concurrency=concurrency,
        queues=(),
        limits={},
        executors=frozenset(),
        clock=lambda: moment,
    )
    holdings = Holdings()
    assert capacity.wants(holdings).limit == concurrency  # nothing is known of them yet

    holdings.mean = 0.0
    capacity.wants(holdings)
    moment, holdings.finished = 101.0, ended_in_a_second
    assert capacity.wants(holdings).limit == concurrency + ahead

    moment = 111.0  # for ten seconds there were none
    assert capacity.wants(holdings).limit == concurrency + min(concurrency, 100)


@given(
    st.lists(st.tuples(st.integers(0, 10_000), st.floats(0, 10)), min_size=1),
    st.floats(0, 1e6),
)
def test_the_pace_is_what_has_ended_in_the_time_since(
    steps: list[tuple[int, float]], moment: float
) -> None:
    pace, finished = Pace(), 0
    pace.look(0, moment)
    for more, seconds in steps:
        finished += more
        moment += seconds
        seen = pace.look(finished, moment)
        assert 0 <= seen <= finished

    assert pace.look(finished, moment + 1e9) < 1
