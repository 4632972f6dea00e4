from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial, wraps
from typing import Any

import pytest

from litestar_queues_core import QueueService
from litestar_queues_core.errors import ConfigError, NoServiceError, WrongLoopError
from litestar_queues_core.model import Backoff, Status
from litestar_queues_core.options import ScheduleOptions
from litestar_queues_core.registry import default_registry
from litestar_queues_core.retry import RetryPolicy
from litestar_queues_core.task import AsyncTask, SyncTask, Task, task


async def fetch(url: str, *, retry: bool = False) -> str:
    """Fetch a page."""
    return f"{url} {retry}"


def add(a: int, b: int = 2) -> int:
    """Add two numbers."""
    return a + b


class Fetcher:
    async def __call__(self, url: str) -> str:
        return url

    async def fetch(self, url: str) -> str:
        return url


class Adder:
    def __call__(self, a: int) -> int:
        return a


def test_the_decorator_has_three_forms() -> None:
    bare = task(add)
    empty = task()(add)
    named = task("sums.add", queue="sums", priority=3)(add)

    assert bare.name == empty.name == f"{__name__}.add"
    assert named.name == "sums.add"
    assert (named.spec.queue, named.spec.priority) == ("sums", 3)
    assert default_registry.get("sums.add") is named


async def test_a_task_is_called_like_its_function() -> None:
    assert task(add)(1, b=5) == 6
    assert await task(fetch)("x", retry=True) == "x True"


def test_a_task_looks_like_its_function() -> None:
    made: Any = task(add)

    assert (made.__name__, made.__doc__, made.__module__) == ("add", add.__doc__, __name__)
    assert made.__wrapped__ is add
    assert inspect.signature(made) == inspect.signature(add)
    assert inspect.iscoroutinefunction(task(fetch).__call__)
    assert repr(made) == f"<Task '{__name__}.add'>"


def test_names_of_nested_functions_lose_their_brackets() -> None:
    @task
    def inner() -> None: ...

    nested = "test_names_of_nested_functions_lose_their_brackets.locals"
    assert inner.name.endswith(f"{nested}.inner"[-80:])
    assert task(lambda: None).name.endswith(f"{nested}.lambda"[-80:])


def test_a_name_that_is_too_long_keeps_its_end_and_stays_the_same() -> None:
    def make() -> Task[..., Any]:
        def function_with_a_very_long_name_that_goes_on_and_on_and_does_not_stop() -> None: ...

        return task(function_with_a_very_long_name_that_goes_on_and_on_and_does_not_stop)

    first, second = make(), make()

    assert first.name == second.name
    assert len(first.name) == 100
    assert first.name.endswith("on_and_on_and_does_not_stop")


def test_a_program_s_tasks_are_named_by_its_importable_module(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import sys
    from types import ModuleType, SimpleNamespace

    program: Any = ModuleType("__main__")
    program.__spec__ = SimpleNamespace(name="shop.worker")
    monkeypatch.setitem(sys.modules, "__main__", program)
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec("def work(): ...", scope)  # noqa: S102

    assert task(scope["work"]).name == "shop.worker.work"
    program.__spec__ = None
    assert task(scope["work"]).name == "__main__.work"


@pytest.mark.parametrize(
    "function",
    [
        fetch,
        partial(fetch, retry=True),
        partial(partial(fetch), "x"),
        Fetcher(),
        partial(Fetcher()),
        Fetcher().fetch,
    ],
)
def test_whatever_gives_a_coroutine_is_async(function: Any) -> None:
    made: Any = task("async")(function)

    assert isinstance(made, AsyncTask)
    assert made.is_async


@pytest.mark.parametrize("function", [add, partial(add, 1), Adder(), lambda: None, len])
def test_everything_else_is_not(function: Any) -> None:
    made: Any = task("sync")(function)

    assert isinstance(made, SyncTask)
    assert not made.is_async


def test_a_decorated_function_is_what_its_decorator_made_of_it() -> None:
    def traced(function: Callable[..., Awaitable[str]]) -> Callable[..., Awaitable[str]]:
        @wraps(function)
        async def trace(*args: Any, **kwargs: Any) -> str:
            return await function(*args, **kwargs)

        return trace

    made: Any = task(traced(fetch))

    assert made.is_async
    assert made.name == f"{__name__}.fetch"
    assert set(made.signature.parameters) == {"url", "retry"}
    assert made.place.line == fetch.__code__.co_firstlineno


def test_a_generator_is_no_task() -> None:
    def numbers() -> Iterator[int]:
        yield 1

    async def pages() -> AsyncIterator[int]:
        yield 1

    for function in (numbers, pages, partial(pages)):
        with pytest.raises(TypeError, match="is a generator function; a task returns its result"):
            task("generator")(function)


@pytest.mark.parametrize("subject", [Fetcher, 5, ["add"]])
def test_what_is_no_function_is_no_task(subject: Any) -> None:
    with pytest.raises(TypeError, match="a task is made of a function"):
        task(subject)


def test_a_task_is_not_made_of_a_task() -> None:
    with pytest.raises(TypeError, match=r"is a task already; \.using\(\.\.\.\) gives it"):
        task("other")(task(add))


@pytest.mark.parametrize("function", [partial(add, 1), Fetcher()])
def test_what_has_no_name_must_be_given_one(function: Any) -> None:
    with pytest.raises(TypeError, match=r"has no name; give the task one: @task\('\.\.\.'\)"):
        task(function)


def test_a_name_must_be_legal() -> None:
    with pytest.raises(ConfigError, match="the name of a task must be 1 to 100 letters"):
        task("a task")(add)

    def größe() -> None: ...  # noqa: PLC2401

    with pytest.raises(ConfigError, match=r"größe' cannot be the name .* @task\('\.\.\.'\)"):
        task(größe)


def test_a_wrong_option_is_found_at_decoration() -> None:
    with pytest.raises(ConfigError, match="priority must be a whole number"):
        task("sums.add", priority=5000)
    with pytest.raises(ConfigError, match="cron and interval exclude each other"):
        task("sums.add", cron="* * * * *", interval=5)(add)
    with pytest.raises(TypeError, match="no option 'retires'; did you mean 'retries'"):
        task("sums.add", retires=5)  # type: ignore[call-overload]


def test_a_task_keeps_what_the_worker_needs() -> None:
    @task(
        "files.process",
        queue="files",
        retries=3,
        timeout=600,
        retry_policy=RetryPolicy(first=5, retry_on=OSError),
        execution_backend="cloudrun",
        execution_profile="worker-heavy",
        description="Process an uploaded file.",
        log_level="warning",
        quiet_success=True,
        keep_result=False,
        max_rescues=1,
        isolation="shared",
        sync_to_thread=False,
        interval=300,
    )
    def process(file_id: str, *, _job_id: str, _task_context: object) -> None: ...

    spec = process.spec
    assert (spec.task, spec.queue, spec.retries, spec.timeout) == ("files.process", "files", 3, 600)
    assert spec.backoff == Backoff(first=5.0)
    assert (spec.execution_backend, spec.execution_profile) == ("cloudrun", "worker-heavy")
    assert spec.description == "Process an uploaded file."
    assert (spec.log_level, spec.quiet_success) == ("warning", True)
    assert (spec.keep_result, spec.max_rescues) == (False, 1)
    assert (process.isolation, process.sync_to_thread) == ("shared", False)
    assert not process.retry_policy.is_retryable(ValueError())
    assert process.schedule == ScheduleOptions(interval=300.0)
    assert process.module == __name__
    assert process.wants_job_id
    assert process.wants_context
    assert process.has_parameter("file_id")


def test_the_defaults_of_a_task() -> None:
    made = task(add)

    assert (made.isolation, made.sync_to_thread, made.schedule) == ("job", True, None)
    assert not made.wants_job_id
    assert not made.wants_context
    assert made.retry_policy == RetryPolicy()


def test_using_makes_a_copy_and_leaves_the_task_alone() -> None:
    original = task("sums.add", priority=1, retries=2)(add)

    urgent = original.using(priority=10, key="sum", retry_policy=5)

    assert (urgent.spec.priority, urgent.spec.retries) == (10, 2)
    assert urgent.options["key"] == "sum"
    assert urgent.spec.backoff == Backoff(first=5.0, factor=1.0, ceiling=5.0, jitter=0.0)
    assert urgent.using(retries=0).spec.priority == 10
    assert original.spec.priority == 1
    assert "key" not in original.options
    assert default_registry.get("sums.add") is original
    assert isinstance(urgent, SyncTask)
    assert urgent(1) == 3


def test_using_refuses_what_lives_in_code() -> None:
    made = task(add)

    with pytest.raises(TypeError, match="isolation lives in the code of the task"):
        made.using(isolation="shared")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="a RetryPolicy with retry_on or give_up_on lives in"):
        made.using(retry_policy=RetryPolicy(give_up_on=OSError))


def test_parameters_take_keywords_from_options() -> None:
    @task
    def send(key: str, *headers: str, priority: int, **session: object) -> None: ...

    assert {"key", "priority"}.isdisjoint(send.option_keywords)
    assert {"headers", "session", "queue"} <= send.option_keywords


def test_a_call_holds_a_task_and_its_arguments() -> None:
    made = task(add)

    call = made.call(1, b=2)

    assert (call.task, call.args, call.kwargs) == (made, (1,), {"b": 2})
    assert repr(call) == f"<TaskCall '{__name__}.add' (1,) {{'b': 2}}>"


async def test_enqueue_uses_the_open_service(service: QueueService) -> None:
    made = task("sums.add")(add)

    result = await made.enqueue(1, b=5)
    later = await made.using(run_after=60).enqueue(1)

    assert (result.status, later.status) == (Status.PENDING, Status.SCHEDULED)
    found = await service.get(result.id)
    assert found is not None
    assert found.record is not None
    assert found.record.task == "sums.add"


async def test_without_a_service_nothing_is_run_instead() -> None:
    called: list[int] = []
    made = task("append")(called.append)

    with pytest.raises(NoServiceError, match="no queue service is open"):
        await made.enqueue(1)
    with pytest.raises(NoServiceError, match="no queue service is open"):
        made.enqueue_sync(1)

    assert called == []


async def test_the_sync_form_is_for_threads(service: QueueService) -> None:
    import asyncio

    made = task("sums.add")(add)

    result = await asyncio.to_thread(made.enqueue_sync, 1, b=5)

    assert await service.get(result.id) is not None
    with pytest.raises(WrongLoopError):
        made.enqueue_sync(1)
