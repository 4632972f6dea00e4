"""Events on their way to sinks that are slow, silent or broken."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.core.faulty import FaultyStore, failing

from litestar_queues_core import (
    QueueConfig,
    QueueEventConfig,
    QueueService,
    TaskExecutionContext,
    Worker,
    task,
)
from litestar_queues_core.config import EventHistoryConfig
from litestar_queues_core.errors import UnknownBackendError
from litestar_queues_core.events import InMemoryEventSink
from litestar_queues_core.model import Event
from litestar_queues_core.protocols import EventSink
from litestar_queues_core.publishing import Announcements, Publisher
from litestar_queues_core.stores.memory import MemoryBackendConfig

SOON = 5.0


def event(number: int = 0) -> Event:
    return Event(job_id="j", type=f"number.{number}", task="t", queue="q", occurred_ms=0)  # type: ignore[arg-type]


class GatedSink:
    """Takes each batch only when it is let go."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gate = asyncio.Semaphore(0)

    async def publish(self, events: Sequence[Event]) -> None:
        self.asked += [one.type for one in events]
        await self.gate.acquire()


class HangingSink:
    """Never returns."""

    def __init__(self) -> None:
        self.calls = 0

    async def publish(self, events: Sequence[Event]) -> None:
        self.calls += 1
        await asyncio.Event().wait()


class RaisingSink:
    """Raises what it was given."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.calls = 0

    async def publish(self, events: Sequence[Event]) -> None:
        self.calls += 1
        raise self.error


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("litestar_queues_core.publishing.PATIENCE", 0.05)


@pytest.fixture
def acme_sink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[str]]]:
    """A distribution with a sink called ``acme``; returns what that has got."""
    folder = tmp_path / "acme_queues-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-queues\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(
        "[litestar_queues.event_sinks]\nacme = acme_queues_sink:Sink\n"
    )
    (tmp_path / "acme_queues_sink.py").write_text(
        "got = []\n\n\n"
        "class Sink:\n    async def publish(self, events):\n"
        "        got.extend(event.type for event in events)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield lambda: importlib.import_module("acme_queues_sink").got
    sys.modules.pop("acme_queues_sink", None)


async def test_a_drain_does_not_wait_for_what_is_emitted_after_it() -> None:
    sink = GatedSink()
    publisher = Publisher([sink])
    publisher.emit([event(1)])
    drain = asyncio.create_task(publisher.drain())
    await asyncio.sleep(0)
    publisher.emit([event(2)])
    assert not drain.done()

    sink.gate.release()
    await asyncio.wait_for(drain, SOON)
    late = asyncio.create_task(publisher.drain())
    await asyncio.sleep(0)

    assert not late.done()
    sink.gate.release()
    await asyncio.wait_for(late, SOON)
    assert sink.asked == ["number.1", "number.2"]


async def test_a_drain_ends_although_events_keep_coming() -> None:
    class Feeding:
        """Another event is emitted during every batch."""

        async def publish(self, events: Sequence[Event]) -> None:
            published.extend(events)
            await asyncio.sleep(0)
            if not drained:
                publisher.emit([event(len(published))])

    drained = False
    published: list[Event] = []
    publisher = Publisher([Feeding()])
    publisher.emit([event(0)])

    await asyncio.wait_for(publisher.drain(), SOON)
    late = asyncio.create_task(publisher.drain())
    await asyncio.sleep(0)
    assert not late.done(), "the next event waits already"

    drained = True
    await asyncio.wait_for(late, SOON)
    assert len(published) > 1
    assert [one.type for one in published] == [f"number.{n}" for n in range(len(published))]


async def test_a_cancelled_drain_disturbs_nobody() -> None:
    sink = GatedSink()
    publisher = Publisher([sink])
    publisher.emit([event(1)])
    doomed = asyncio.create_task(publisher.drain())
    other = asyncio.create_task(publisher.drain())
    await asyncio.sleep(0)
    doomed.cancel()
    sink.gate.release()

    await asyncio.wait_for(other, SOON)

    assert sink.asked == ["number.1"]
    assert publisher.dropped == 0


@pytest.mark.usefixtures("impatient")
async def test_a_sink_that_hangs_costs_its_patience_once(caplog: pytest.LogCaptureFixture) -> None:
    hanging, other = HangingSink(), InMemoryEventSink()
    publisher = Publisher([hanging, other])
    publisher.emit([event(number) for number in range(3000)])

    await asyncio.wait_for(publisher.drain(), SOON)

    assert hanging.calls == 1
    assert len(other.events) == 3000
    assert publisher.dropped == 3000
    assert "3000 events were not published" in caplog.text
    assert "HangingSink" in caplog.text


async def test_a_sink_that_hangs_does_not_hold_up_the_others() -> None:
    other = InMemoryEventSink()
    publisher = Publisher([HangingSink(), other])

    publisher.emit([event()])
    await asyncio.sleep(0.01)

    assert len(other.events) == 1


@pytest.mark.usefixtures("impatient")
async def test_a_sink_that_was_silent_is_asked_again_later() -> None:
    hanging = HangingSink()
    publisher = Publisher([hanging])
    publisher.emit([event()])
    await asyncio.wait_for(publisher.drain(), SOON)

    publisher.emit([event()])
    await asyncio.wait_for(publisher.drain(), SOON)

    assert hanging.calls == 2


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no"),
        SystemExit(1),
        GeneratorExit(),
        StopIteration(),
        asyncio.CancelledError(),
        BaseExceptionGroup("both", [SystemExit(1), ValueError()]),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_sink_that_raises_anything_stops_neither_the_others_nor_the_publisher(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    broken, other = RaisingSink(error), InMemoryEventSink()
    publisher = Publisher([broken, other])

    for number in range(2):
        publisher.emit([event(number)])
        await asyncio.wait_for(publisher.drain(), SOON)

    assert broken.calls == 2
    assert [one.type for one in other.events] == ["number.0", "number.1"]
    assert publisher.dropped == 2
    assert "RaisingSink" in caplog.text


async def test_strict_delivery_says_what_went_wrong_as_an_ordinary_error() -> None:
    publisher = Publisher([RaisingSink(SystemExit(1))], strict=True)

    with pytest.raises(RuntimeError, match="RaisingSink raised SystemExit"):
        await publisher.deliver([event()])


async def test_strict_delivery_comes_after_what_waits() -> None:
    sink = InMemoryEventSink()
    publisher = Publisher([sink], strict=True)
    publisher.emit([event(1)])

    await publisher.deliver([event(2)])

    assert [one.type for one in sink.events] == ["number.1", "number.2"]


async def test_strict_delivery_can_be_cancelled() -> None:
    publisher = Publisher([HangingSink()], strict=True)
    delivery = asyncio.create_task(publisher.deliver([event()]))
    await asyncio.sleep(0)

    delivery.cancel()
    await asyncio.wait([delivery], timeout=SOON)

    assert delivery.cancelled()


async def test_what_is_too_much_is_dropped_and_counted() -> None:
    sink = GatedSink()
    publisher = Publisher([sink])
    publisher.emit([event()] * 10_500)
    sink.gate = asyncio.Semaphore(1000)

    await asyncio.wait_for(publisher.drain(), SOON)

    assert publisher.dropped == 500
    assert len(sink.asked) == 10_000


async def test_a_publisher_whose_flusher_was_cancelled_still_drains() -> None:
    publisher = Publisher([HangingSink()])
    before = asyncio.all_tasks()
    publisher.emit([event()])
    (flusher,) = asyncio.all_tasks() - before
    drain = asyncio.create_task(publisher.drain())
    await asyncio.sleep(0)

    flusher.cancel()  # as at the end of asyncio.run
    await asyncio.wait_for(drain, SOON)

    assert publisher.dropped == 1


@pytest.mark.usefixtures("impatient")
async def test_all_publishers_are_drained_at_the_same_time() -> None:
    several = [Publisher([HangingSink()]) for _ in range(20)]
    announcements = Announcements(*several)
    announcements.emit([event()])
    loop = asyncio.get_running_loop()
    started = loop.time()

    await asyncio.wait_for(announcements.drain(), SOON)

    assert loop.time() - started < 20 * 0.05
    assert [one.dropped for one in several] == [1] * 20


@pytest.mark.usefixtures("impatient")
async def test_a_hanging_sink_does_not_keep_a_worker_and_its_service(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @task
    async def nothing() -> None: ...

    hanging = HangingSink()
    async with service_of(hanging) as service:
        for _ in range(20):
            await service.enqueue(nothing)
        await asyncio.wait_for(Worker(service, burst=True).run(), SOON)

    assert "events were not published" in caplog.text


@pytest.mark.parametrize("history", [None, EventHistoryConfig()])
async def test_a_store_is_given_only_the_history_that_is_kept(
    sink: InMemoryEventSink, history: EventHistoryConfig | None
) -> None:
    @task
    async def talk() -> None: ...

    async with service_of(sink, history=history) as service:
        result = await service.enqueue(talk)
        await Worker(service, burst=True).run()
        kept = [one.type async for one in service.iter_events(result.id)]

    told = [one.type for one in sink.events]
    assert told == ["job.enqueued", "job.started", "job.completed"]
    assert sorted(kept) == (sorted(told) if history else [])


@pytest.mark.parametrize("history", [None, EventHistoryConfig()])
async def test_a_job_cancelled_before_its_code_starts_is_announced_as_cancelled(
    sink: InMemoryEventSink, history: EventHistoryConfig | None
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    @task
    async def first() -> None:
        begun.set()
        await go_on.wait()

    @task
    async def never() -> None:
        raise AssertionError("it was cancelled")

    async with service_of(sink, history=history) as service, Worker(service, concurrency=1) as w:
        w.holdings.mean = 0.0  # as after many quick jobs: one job is fetched ahead
        blocking = await service.enqueue(first, priority=1)
        doomed = await service.enqueue(never)
        await asyncio.wait_for(begun.wait(), SOON)
        while not w.holdings.buffer:
            await asyncio.sleep(0.001)
        await service.cancel(doomed.id)
        while w.holdings.buffer and w.holdings.buffer[0].stopped is None:
            await asyncio.sleep(0.001)
        go_on.set()
        await doomed.wait(SOON)
        await blocking.wait(SOON)

    told = [one.type for one in sink.events if one.job_id == doomed.id]
    assert told == ["job.enqueued", "job.cancelled"]


class LoggingStore(FaultyStore):
    """A faulty store with an event log."""

    async def append_events(self, *args: Any) -> Any:
        return await self.call("append_events", *args)

    async def read_events(self, *args: Any, **kwargs: Any) -> Any:
        return await self.call("read_events", *args, **kwargs)

    async def prune_events(self, **kwargs: Any) -> Any:
        return await self.call("prune_events", **kwargs)


class LoggingBackend:
    """Opens a store whose event log cannot be pruned."""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[LoggingStore]:
        async with MemoryBackendConfig().open() as store:
            yield LoggingStore(store, failing(["prune_events"], "before", times=1_000_000))


async def test_a_log_that_cannot_be_pruned_stops_no_other_maintenance() -> None:
    @task
    async def later() -> None: ...

    config = QueueConfig(
        queue_backend=LoggingBackend(),
        event_config=QueueEventConfig(enabled=True, history=EventHistoryConfig()),
    )
    async with QueueService(config) as service:
        result = await service.enqueue(later, run_after=0.2)
        async with Worker(service):
            await result.wait(SOON)
        await asyncio.wait_for(Worker(service, burst=True).run(), SOON)

        assert service.store.calls["prune_events"] == 2  # type: ignore[attr-defined]


def service_of(sink: EventSink, *, history: EventHistoryConfig | None = None) -> QueueService:
    return QueueService(
        QueueConfig(
            queue_backend=MemoryBackendConfig(),
            event_config=QueueEventConfig(enabled=True, sink=sink, history=history),
        )
    )


async def test_an_event_that_its_task_has_given_up_counts_as_undelivered() -> None:
    @task("publishing.impatient")
    async def impatient(_task_context: TaskExecutionContext) -> int:
        with suppress(TimeoutError):
            async with asyncio.timeout(0.01):
                await _task_context.log("nobody hears this")
        return 1

    class DeafToLogs(InMemoryEventSink):
        async def publish(self, events: Sequence[Event]) -> None:
            if any(one.type == "task.log" for one in events):
                await asyncio.Event().wait()
            await super().publish(events)

    config = QueueConfig(
        queue_backend=MemoryBackendConfig(),
        event_config=QueueEventConfig(enabled=True, sink=DeafToLogs(), strict=True),
    )
    async with QueueService(config) as service, Worker(service):
        result = await service.enqueue(impatient)
        await result.wait(SOON)

    assert "could not be delivered" in str(result.error)


@pytest.mark.parametrize("several", [False, True], ids=["one", "among others"])
async def test_a_sink_can_be_named(acme_sink: Callable[[], list[str]], several: bool) -> None:
    @task("quiet")
    async def quiet() -> None: ...

    beside = InMemoryEventSink()
    sink: Any = ["acme", beside] if several else "acme"
    config = QueueConfig(
        queue_backend="memory", event_config=QueueEventConfig(enabled=True, sink=sink)
    )
    async with QueueService(config) as service:
        await service.enqueue(quiet)

    assert acme_sink() == ["job.enqueued"]
    assert beside.types() == (["job.enqueued"] if several else [])


async def test_a_sink_that_is_not_installed_stops_the_start() -> None:
    sink: Any = ["nope"]
    config = QueueConfig(
        queue_backend="memory", event_config=QueueEventConfig(enabled=True, sink=sink)
    )
    service = QueueService(config)
    with pytest.raises(UnknownBackendError, match="no event sink is called 'nope'"):
        await service.__aenter__()
    assert service.loop is None
