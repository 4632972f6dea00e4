"""The client side, told through the public API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from litestar_queues_core import (
    ConfigError,
    EnqueueManyError,
    JobQuery,
    KeyConflictError,
    MissingAbilityError,
    NoServiceError,
    NotInTaskError,
    PayloadTooLargeError,
    QueueConfig,
    QueueError,
    QueueEventConfig,
    QueueService,
    ResultExpired,
    SessionError,
    Status,
    TaskModuleError,
    UnknownBackendError,
    UnknownTaskError,
    Worker,
    WrongLoopError,
    get_current_task_context,
    task,
)
from litestar_queues_core.events import InMemoryEventSink
from litestar_queues_core.ids import LeaseId, new_job_id
from litestar_queues_core.model import NewJob
from litestar_queues_core.settlements import Enqueued, Settlement
from litestar_queues_core.stores.memory import MemoryBackendConfig
from litestar_queues_core.stores.memory.store import MemoryStore

SOON = 5.0


class TransactionalStore(MemoryStore):
    """Leaves jobs with the caller, whose session is a list."""

    sessions = "a list"

    def accepts(self, session: object) -> bool:
        return isinstance(session, list)

    async def enqueue_in(self, session: Any, jobs: Sequence[NewJob]) -> list[Enqueued]:
        return self.enqueue_in_sync(session, jobs)

    def enqueue_in_sync(self, session: Any, jobs: Sequence[NewJob]) -> list[Enqueued]:
        session.extend(jobs)
        return [Enqueued(id=job.id) for job in jobs]

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[list[NewJob]]:
        yield []

    async def settle_in(self, session: Any, lease: LeaseId, settlement: Settlement) -> None:
        raise AssertionError("no attempt is made here")


class TransactionalBackend:
    @asynccontextmanager
    async def open(self) -> AsyncIterator[TransactionalStore]:
        yield TransactionalStore()


async def test_a_task_can_be_named(service: QueueService) -> None:
    @task("named")
    async def named(x: int) -> int:
        return x

    result = await service.enqueue("named", 5)

    async with Worker(service):
        assert await result.value(SOON) == 5


async def test_an_unknown_task_name_suggests_those_that_are_alike(service: QueueService) -> None:
    @task("emails.send")
    async def send() -> None: ...

    with pytest.raises(UnknownTaskError, match=r"'emails\.sent'; did you mean 'emails\.send'\?"):
        await service.enqueue("emails.sent")


async def test_wrong_arguments_are_refused_at_enqueue(service: QueueService) -> None:
    @task
    async def add(a: int, b: int) -> int:
        return a + b

    with pytest.raises(TypeError, match=r"add\(\) missing 1 required positional argument: 'b'"):
        await service.enqueue(add, 1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'c'"):
        await service.enqueue(add, 1, 2, c=3)
    assert not (await service.count()).counts


async def test_what_is_no_task_is_refused_with_the_fix(service: QueueService) -> None:
    def plain() -> None: ...

    @task
    async def decorated() -> None: ...

    wrong: list[Any] = [plain, decorated.call(), None, 5]
    for one in wrong:
        with pytest.raises(TypeError, match=r"is not a task; decorate it with @task"):
            await service.enqueue(one)
    wrong = [decorated, plain, "decorated"]
    for one in wrong:
        with pytest.raises(TypeError, match=r"takes calls, task\.call\(\.\.\.\), not"):
            await service.enqueue_many([decorated.call(), one])
    assert not (await service.count()).counts


@pytest.mark.parametrize("config", ["memory", None, {}, QueueConfig])
def test_a_service_takes_a_configuration(config: Any) -> None:
    with pytest.raises(TypeError, match=r"QueueService\(\) takes a QueueConfig\(\.\.\.\), not "):
        QueueService(config)


async def test_a_job_of_an_open_transaction_is_not_announced() -> None:
    """Whether there will be a job is known when the caller commits, and then only to the store."""

    @task
    async def send() -> None: ...

    sink = InMemoryEventSink()
    events = QueueEventConfig(enabled=True, sink=sink)
    config = QueueConfig(queue_backend=TransactionalBackend(), event_config=events)
    session: list[NewJob] = []
    async with QueueService(config) as service:
        first = await service.enqueue(send, session=session)
        (second,) = await service.enqueue_many([send.call()], session=session)
        alone = await service.enqueue(send)

    assert [job.id for job in session] == [first.id, second.id]
    assert [event.job_id for event in sink.events] == [alone.id]


async def test_a_session_is_given_in_any_of_the_ways_that_options_are() -> None:
    @task
    async def send() -> None: ...

    @task
    async def own(session: str) -> None: ...

    session: list[NewJob] = []
    async with QueueService(QueueConfig(queue_backend=TransactionalBackend())) as service:
        results = [
            await service.enqueue(send, session=session),
            await service.enqueue(send.using(session=session)),
            await send.enqueue(session=session),  # type: ignore[call-arg]
            await service.enqueue(own.using(session=session), session="the task's"),
            *await service.enqueue_many([send.call()] * 2, session=session),
            *await service.enqueue_many([send.using(session=session).call()] * 2),
            *await asyncio.to_thread(sync_enqueues, service, send, session),
        ]
        assert not (await service.count()).counts

        with pytest.raises(SessionError, match="a batch is written through one session"):
            await service.enqueue_many([send.call(), send.using(session=session).call()])

    assert [job.id for job in session] == [result.id for result in results]
    assert session[3].payload == b'1{"session":"the task\'s"}'


def sync_enqueues(service: QueueService, send: Any, session: object) -> list[Any]:
    return [
        service.sync.enqueue(send, session=session),
        service.sync.enqueue(send.using(session=session)),
        *service.sync.enqueue_many([send.call()], session=session),
        *service.sync.enqueue_many([send.using(session=session).call()]),
    ]


async def test_a_session_of_another_kind_is_refused_with_what_is_accepted() -> None:
    @task
    async def send() -> None: ...

    async with QueueService(QueueConfig(queue_backend=TransactionalBackend())) as service:
        for wrong in ({}, "session", object()):
            with pytest.raises(SessionError, match=r"TransactionalStore cannot .* it takes a list"):
                await service.enqueue(send, session=wrong)
            with pytest.raises(SessionError, match=r"session=builtins\."):
                await asyncio.to_thread(service.sync.enqueue, send, session=wrong)


async def test_a_blocking_enqueue_needs_an_open_service() -> None:
    @task
    async def send() -> None: ...

    service = QueueService(QueueConfig(queue_backend=TransactionalBackend()))
    with pytest.raises(NoServiceError, match="is not open"):
        service.sync.enqueue(send, session=[])
    with pytest.raises(NoServiceError, match="is not open"):
        service.sync.enqueue_many([send.call()], session=[])


async def test_arguments_beyond_the_limit_are_refused_with_the_fix() -> None:
    @task
    async def load(data: str) -> None: ...

    config = QueueConfig(queue_backend=MemoryBackendConfig(), max_payload=100)
    async with QueueService(config) as service:
        with pytest.raises(
            PayloadTooLargeError, match="the limit is 100; store the data elsewhere"
        ):
            await service.enqueue(load, "x" * 200)


async def test_options_are_taken_as_options_unless_the_task_has_such_a_parameter(
    service: QueueService,
) -> None:
    @task
    async def plain() -> None: ...

    @task
    async def own(priority: int) -> int:
        return priority

    first = await (await service.enqueue(plain, priority=7)).refresh()
    second = await (await service.enqueue(own.using(priority=3), priority=9)).refresh()

    assert first.record is not None
    assert second.record is not None
    assert first.record.priority == 7
    assert second.record.priority == 3
    assert second.record.new.payload.endswith(b'{"priority":9}')


async def test_a_key_gives_the_same_job_until_it_is_finished(service: QueueService) -> None:
    @task
    async def once() -> None: ...

    first = await service.enqueue(once, key="k")
    again = await service.enqueue(once, key="k")
    await Worker(service, burst=True).run()
    later = await service.enqueue(once, key="k")

    assert (first.created, again.created, later.created) == (True, False, True)
    assert again.id == first.id != later.id


async def test_a_key_of_another_task_is_a_conflict_that_names_both(service: QueueService) -> None:
    @task("first.task")
    async def first() -> None: ...

    @task("second.task")
    async def second() -> None: ...

    await service.enqueue(first, key="k")
    with pytest.raises(KeyConflictError, match=r"'second\.task' is held by .* 'first\.task'"):
        await service.enqueue(second, key="k")


async def test_concurrent_enqueues_with_one_key_have_one_winner(service: QueueService) -> None:
    @task
    async def once() -> None: ...

    results = await asyncio.gather(*(service.enqueue(once, key="k") for _ in range(20)))

    assert sum(result.created for result in results) == 1
    assert len({result.id for result in results}) == 1


async def test_a_batch_says_which_of_its_jobs_were_not_taken(service: QueueService) -> None:
    @task("batch.other")
    async def other() -> None: ...

    @task("batch.own")
    async def own(number: int) -> None: ...

    await service.enqueue(other, key="k")
    with pytest.raises(EnqueueManyError, match="1 of 3 jobs were not enqueued") as caught:
        await service.enqueue_many([own.call(0), own.using(key="k").call(1), own.call(2)])

    assert isinstance(caught.value.errors[1], KeyConflictError)
    found = await service.find(JobQuery(task="batch.own"))
    assert len(found.jobs) == 2


async def test_a_wrong_call_in_a_batch_enqueues_nothing(service: QueueService) -> None:
    @task
    async def one(number: int) -> None: ...

    with pytest.raises(TypeError):
        await service.enqueue_many([one.call(1), one.call()])  # type: ignore[call-arg]

    assert not (await service.count()).counts


async def test_due_times_and_expiry_are_kept(service: QueueService) -> None:
    @task
    async def later() -> None: ...

    due = datetime(2100, 1, 1, tzinfo=UTC)
    result = await (await service.enqueue(later, run_at=due, expires_in=60)).refresh()

    assert result.status is Status.SCHEDULED
    assert result.record is not None
    assert result.record.due_at == due
    assert result.record.expires_at == due + timedelta(seconds=60)


async def test_cancel_says_what_it_did(service: QueueService) -> None:
    @task
    async def job() -> None: ...

    waiting = await service.enqueue(job)
    assert await service.cancel(waiting.id) == "cancelled"
    assert await service.cancel(waiting.id) == "already_finished"
    assert await service.cancel(new_job_id()) == "not_found"


async def test_a_failed_job_is_revived_with_all_its_attempts(service: QueueService) -> None:
    broken = True

    @task
    async def mended() -> str:
        if broken:
            raise ValueError("broken")
        return "fine"

    async with Worker(service):
        result = await (await service.enqueue(mended)).wait(SOON)
        assert result.status is Status.FAILED
        broken = False
        revived = await service.revive(result.id)
        assert await revived.value(SOON) == "fine"

    assert revived.id == result.id


async def test_a_job_that_is_not_known_cannot_be_waited_for(service: QueueService) -> None:
    @task
    async def job() -> None: ...

    assert await service.get(new_job_id()) is None
    result = await service.enqueue(job)
    result._id = new_job_id()
    with pytest.raises(ResultExpired, match="is not known any more"):
        await result.wait(SOON)


async def test_waiting_ends_with_its_timeout_and_says_where_the_job_stands(
    service: QueueService,
) -> None:
    @task
    async def job() -> None: ...

    result = await service.enqueue(job)
    with pytest.raises(TimeoutError, match=r"has not ended within 0\.05 s; it is pending"):
        await result.wait(0.05)


async def test_the_sync_form_works_from_a_thread_and_refuses_its_own_loop(
    service: QueueService,
) -> None:
    @task
    async def double(x: int) -> int:
        return 2 * x

    def in_a_thread() -> int:
        result = service.sync.enqueue(double, 4)
        return service.sync.value(result, SOON)

    async with Worker(service):
        assert await asyncio.to_thread(in_a_thread) == 8
    with pytest.raises(WrongLoopError, match="use the async form here"):
        service.sync.enqueue(double, 4)


async def test_another_event_loop_is_refused(service: QueueService) -> None:
    @task
    async def job() -> None: ...

    def elsewhere() -> None:
        asyncio.run(service.enqueue(job))  # type: ignore[arg-type]

    with pytest.raises(WrongLoopError, match=r"belongs to another event loop; use service\.sync"):
        await asyncio.to_thread(elsewhere)


async def test_a_service_that_is_not_open_says_so() -> None:
    @task
    async def job() -> None: ...

    closed = QueueService(QueueConfig(queue_backend="memory"))
    with pytest.raises(NoServiceError, match="use it inside 'async with service:'"):
        await closed.enqueue(job)
    with pytest.raises(NoServiceError, match="no queue service is open here"):
        await job.enqueue()


async def test_immediate_execution_runs_the_job_before_enqueue_returns() -> None:
    config = QueueConfig(queue_backend=MemoryBackendConfig(), execution_backend="immediate")

    @task
    async def child() -> str:
        return "child"

    @task
    async def parent() -> str:
        return str((await (await child.enqueue()).refresh()).result)

    async with QueueService(config) as service:
        result = await (await service.enqueue(parent)).refresh()

    assert result.result == "child"


def test_outside_a_task_there_is_no_context() -> None:
    with pytest.raises(NotInTaskError, match="no task is running here"):
        get_current_task_context()


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        (QueueConfig(), ConfigError, r"queue_backend must be given: 'memory', or one of those"),
        (QueueConfig(queue_backend="sqlspec"), ConfigError, r"SQLSpecBackendConfig\(\.\.\.\)"),
        (
            QueueConfig(queue_backend="mongo"),
            UnknownBackendError,
            r"'mongo'; installed: .*memory.*sqlite",
        ),
        (
            QueueConfig(queue_backend="memory", task_modules=("no.such.module",)),
            TaskModuleError,
            r"cannot import the task module 'no\.such\.module'",
        ),
        (
            QueueConfig(
                queue_backend="memory",
                event_config=QueueEventConfig(enabled=True, sink="no_such_sink"),
            ),
            UnknownBackendError,
            "no event sink is called 'no_such_sink'",
        ),
        (
            QueueConfig(queue_backend="memory", execution_backends=("rocket",)),
            UnknownBackendError,
            "rocket",
        ),
    ],
)
async def test_settings_that_cannot_work_fail_at_start_with_the_fix(
    config: QueueConfig, error: type[QueueError], message: str
) -> None:
    service = QueueService(config)
    with pytest.raises(error, match=message):
        async with service, Worker(service):
            pass
    assert service.loop is None


async def test_an_option_whose_ability_the_store_lacks_is_refused_with_both_names() -> None:
    from tests.core.bare import BareBackend

    @task(unique_by="task")
    async def unique() -> None: ...

    async with QueueService(QueueConfig(queue_backend=BareBackend())) as service:
        with pytest.raises(MissingAbilityError, match=r"unique_by.* SupportsKeys, which BareStore"):
            await service.enqueue(unique)
        with pytest.raises(MissingAbilityError, match=r"find\(\) needs .* SupportsBrowse"):
            await service.find()
