from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

import pytest
from litestar import Litestar, Request
from litestar.datastructures import State
from litestar.di import Provide

from litestar_queues import (
    JobFailedError,
    QueuePlugin,
    QueueService,
    Snooze,
    TaskExecutionContext,
    get_current_task_context,
    task,
)
from litestar_queues_core.testing import assert_enqueued, drain

MakeApp = Callable[..., Litestar]


def service_of(app: Litestar) -> QueueService:
    service: QueueService = app.state.queue_service
    return service


async def test_a_parameter_called_like_a_dependency_is_provided(make_app: MakeApp) -> None:
    def provide_prefix(state: State) -> str:
        return f"{state.name}-"

    async def provide_greeting(prefix: str) -> str:
        return f"{prefix}hello"

    @task("greet")
    async def greet(name: str, *, greeting: str) -> str:
        return f"{greeting} {name}"

    app = make_app(
        dependencies={
            "prefix": Provide(provide_prefix, sync_to_thread=False),
            "greeting": provide_greeting,
        },
        state=State({"name": "app"}),
    )
    async with app.lifespan():
        result = await service_of(app).enqueue(greet, "you")

        assert await result.value(timeout=5) == "app-hello you"


async def test_what_is_given_at_enqueue_is_not_made(make_app: MakeApp) -> None:
    async def provide_greeting() -> str:
        raise AssertionError("nobody needs it")

    @task("greet")
    async def greet(greeting: str) -> str:
        return greeting

    app = make_app(dependencies={"greeting": Provide(provide_greeting)})
    async with app.lifespan():
        result = await service_of(app).enqueue(greet, greeting="servus")

        assert await result.value(timeout=5) == "servus"


async def test_each_attempt_has_values_of_its_own_which_it_shares_within(make_app: MakeApp) -> None:
    made: list[object] = []

    async def provide_thing() -> object:
        made.append(object())
        return made[-1]

    async def provide_holder(thing: object) -> list[object]:
        return [thing]

    @task("look")
    async def look(thing: object, holder: list[object]) -> bool:
        return holder[0] is thing

    app = make_app(
        dependencies={"thing": Provide(provide_thing), "holder": Provide(provide_holder)}
    )
    async with app.lifespan():
        results = [await service_of(app).enqueue(look) for _ in range(3)]

        assert [await one.value(timeout=5) for one in results] == [True, True, True]
    assert len(made) == 3


async def test_generators_are_torn_down_in_reverse_before_the_attempt_settles(
    make_app: MakeApp,
) -> None:
    story: list[str] = []

    async def provide_outer() -> AsyncGenerator[str]:
        story.append("outer made")
        yield "outer"
        story.append("outer torn down")
        story.append(str((await get_current_task_context().service.get(seen[0])).status))  # type: ignore[union-attr]

    def provide_inner(outer: str) -> Generator[str]:
        story.append("inner made")
        yield f"{outer} inner"
        story.append("inner torn down")

    seen: list[str] = []

    @task("use")
    async def use(inner: str, *, _job_id: str) -> str:
        seen.append(_job_id)
        story.append("run")
        return inner

    app = make_app(dependencies={"outer": Provide(provide_outer), "inner": Provide(provide_inner)})
    async with app.lifespan():
        result = await service_of(app).enqueue(use)

        assert await result.value(timeout=5) == "outer inner"
    assert story == [
        "outer made",
        "inner made",
        "run",
        "inner torn down",
        "outer torn down",
        "running",
    ]


async def test_a_failing_tear_down_fails_the_attempt(make_app: MakeApp) -> None:
    async def provide_file() -> AsyncGenerator[str]:
        yield "file"
        raise OSError("the disk is full")

    @task("write")
    async def write(file: str) -> str:
        return file

    app = make_app(dependencies={"file": Provide(provide_file)})
    async with app.lifespan():
        result = await service_of(app).enqueue(write)
        with pytest.raises(JobFailedError, match="OSError: the disk is full"):
            await result.value(timeout=5)


@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_a_generator_sees_the_error_and_cannot_hide_it(make_app: MakeApp, kind: str) -> None:
    seen: list[BaseException] = []
    later: list[str] = []

    async def provide_first() -> AsyncGenerator[str]:
        try:
            yield "first"
        except ValueError:
            later.append("the first saw it too")
            raise

    async def provide_async(first: str) -> AsyncGenerator[str]:
        try:
            yield first
        except ValueError as error:
            seen.append(error)

    def provide_sync(first: str) -> Generator[str]:
        try:
            yield first
        except ValueError as error:
            seen.append(error)

    @task("fail")
    async def fail(thing: str) -> None:
        raise ValueError(thing)

    thing = Provide(provide_async if kind == "async" else provide_sync)
    app = make_app(dependencies={"first": Provide(provide_first), "thing": thing})
    async with app.lifespan():
        result = await service_of(app).enqueue(fail)
        await result.wait(timeout=5)

    assert result.status == "failed"
    assert result.error == "ValueError: first"
    assert [str(error) for error in seen] == ["first"]
    assert later == ["the first saw it too"]


async def test_a_snoozed_attempt_is_torn_down_and_comes_again(make_app: MakeApp) -> None:
    story: list[str] = []

    async def provide_thing() -> AsyncGenerator[int]:
        try:
            yield len(story)
        finally:
            story.append("torn down")

    @task("wait_a_little")
    async def wait_a_little(thing: int) -> int:
        if not thing:
            raise Snooze(0.01)
        return thing

    app = make_app(dependencies={"thing": Provide(provide_thing)})
    async with app.lifespan():
        result = await service_of(app).enqueue(wait_a_little)

        assert await result.value(timeout=5) == 1
    assert story == ["torn down", "torn down"]


async def test_a_task_in_a_thread_gets_dependencies_too(make_app: MakeApp) -> None:
    def provide_number() -> int:
        return threading.get_ident()

    @task("look")
    def look(number: int) -> tuple[int, int]:
        return number, threading.get_ident()

    app = make_app(dependencies={"number": Provide(provide_number, sync_to_thread=True)})
    async with app.lifespan():
        made, ran = await (await service_of(app).enqueue(look)).value(timeout=5)

    assert threading.get_ident() not in (made, ran)


async def test_the_queue_service_is_a_dependency_like_others(make_app: MakeApp) -> None:
    @task("child")
    async def child(number: int) -> int:
        return number + 1

    @task("parent")
    async def parent(queue_service: QueueService, _task_context: TaskExecutionContext) -> str:
        assert queue_service is _task_context.service
        return (await queue_service.enqueue(child, 1)).id

    app = make_app()
    async with app.lifespan():
        service = service_of(app)
        made = await service.get(await (await service.enqueue(parent)).value(timeout=5))

        assert made is not None
        assert await made.value(timeout=5) == 2


class Mailer:
    def __init__(self, host: str, port: int = 25) -> None:
        self.address = f"{host}:{port}"


async def test_a_class_is_a_dependency_too_and_can_be_kept(make_app: MakeApp) -> None:
    seen: list[Mailer] = []

    async def provide_host() -> str:
        return "mail"

    @task("send")
    async def send(mailer: Mailer) -> str:
        seen.append(mailer)
        return mailer.address

    provide_mailer = Provide(Mailer, use_cache=True, sync_to_thread=False)
    app = make_app(dependencies={"host": Provide(provide_host), "mailer": provide_mailer})
    async with app.lifespan():
        for _ in range(2):
            assert await (await service_of(app).enqueue(send)).value(timeout=5) == "mail:25"
    assert seen[0] is seen[1]


async def test_tests_of_an_application_run_jobs_with_its_dependencies(make_app: MakeApp) -> None:
    async def provide_greeting() -> str:
        return "hello"

    @task("greet")
    async def greet(name: str, *, greeting: str) -> str:
        return f"{greeting} {name}"

    app = make_app(plugins=[QueuePlugin(testing=True)], dependencies={"greeting": provide_greeting})
    async with app.lifespan():
        result = await service_of(app).enqueue(greet, "you")
        await assert_enqueued(service_of(app), greet, "you")
        await drain(service_of(app))

        assert (await result.refresh()).result == "hello you"


async def test_app_state_and_scope_can_be_had_without_a_request(make_app: MakeApp) -> None:
    def provide_facts(state: State, scope: dict[str, Any], app: Litestar) -> list[bool]:
        return [state is app.state, scope["app"] is app, scope["type"] == "http"]

    @task("look")
    async def look(facts: list[bool]) -> list[bool]:
        return facts

    app = make_app(dependencies={"facts": Provide(provide_facts, sync_to_thread=False)})
    async with app.lifespan():
        assert await (await service_of(app).enqueue(look)).value(timeout=5) == [True, True, True]


async def test_what_only_a_request_has_must_be_given(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    async def provide_user(request: Request[Any, Any, Any]) -> str:
        return request.headers["user"]

    async def provide_greeting(user: str) -> str:
        return f"hello {user}"

    @task("greet")
    async def greet(greeting: str, user: str = "nobody") -> str:
        return f"{greeting}, {user}"

    app = make_app(
        dependencies={"user": Provide(provide_user), "greeting": Provide(provide_greeting)}
    )
    async with app.lifespan():
        service = service_of(app)
        with pytest.raises(TypeError, match="greeting"):
            await service.enqueue(greet)
        result = await service.enqueue(greet, "servus")

        assert await result.value(timeout=5) == "servus, nobody"
    (warning,) = [one for one in caplog.records if one.name == "litestar_queues.dependencies"]
    assert "'greeting'" in warning.getMessage()
    assert "must be given at enqueue" in warning.getMessage()
    assert "needs 'request', which only a request has" in warning.getMessage()


async def test_dependencies_that_need_each_other_cannot_be_had(make_app: MakeApp) -> None:
    async def provide_hen(egg: str) -> str:
        return egg

    async def provide_egg(hen: str) -> str:
        return hen

    @task("hatch")
    async def hatch(egg: str) -> str:
        return egg

    app = make_app(dependencies={"hen": Provide(provide_hen), "egg": Provide(provide_egg)})
    async with app.lifespan():
        assert await (await service_of(app).enqueue(hatch, "egg")).value(timeout=5) == "egg"


async def test_an_optional_dependency_that_cannot_be_had_keeps_its_default(
    make_app: MakeApp,
) -> None:
    async def provide_user(request: Request[Any, Any, Any]) -> str:
        return request.headers["user"]

    async def provide_greeting(user: str = "you") -> str:
        return f"hello {user}"

    @task("greet")
    async def greet(greeting: str) -> str:
        return greeting

    app = make_app(
        dependencies={"user": Provide(provide_user), "greeting": Provide(provide_greeting)}
    )
    async with app.lifespan():
        assert await (await service_of(app).enqueue(greet)).value(timeout=5) == "hello you"


async def test_a_dependency_that_cannot_be_made_fails_the_attempt_and_not_the_worker(
    make_app: MakeApp,
) -> None:
    ended: list[str] = []

    async def provide_first() -> AsyncGenerator[str]:
        try:
            yield "first"
        finally:
            ended.append("first")

    async def provide_broken(first: str) -> str:
        raise ConnectionError(f"no database, {first}")

    @task("use")
    async def use(broken: str) -> str:
        return broken

    @task("other")
    async def other() -> str:
        return "fine"

    app = make_app(
        dependencies={"first": Provide(provide_first), "broken": Provide(provide_broken)}
    )
    async with app.lifespan():
        service = service_of(app)
        failed = await (await service.enqueue(use)).wait(timeout=5)

        assert failed.error == "ConnectionError: no database, first"
        assert ended == ["first"]
        assert await (await service.enqueue(other)).value(timeout=5) == "fine"


async def test_a_timed_out_attempt_tears_down_before_it_settles(make_app: MakeApp) -> None:
    ended: list[str] = []

    async def provide_thing() -> AsyncGenerator[str]:
        try:
            yield "thing"
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    @task("hang", timeout=0.05)
    async def hang(thing: str) -> None:
        await asyncio.Event().wait()

    app = make_app(dependencies={"thing": Provide(provide_thing)})
    async with app.lifespan():
        result = await (await service_of(app).enqueue(hang)).wait(timeout=5)

    assert result.status == "failed"
    assert "0.05" in (result.error or "")
    assert ended == ["cancelled"]


async def test_what_was_put_into_the_scope_is_ended_by_the_hooks_of_the_application(
    make_app: MakeApp,
) -> None:
    ended: list[tuple[object, object]] = []

    async def provide_connection(scope: dict[str, Any]) -> str:
        scope["state"]["connection"] = "connection"
        return "connection"

    async def end(message: Any, scope: Any) -> None:
        ended.append((scope["state"].pop("connection"), message["status"]))

    @task("use")
    async def use(connection: str, *, well: bool) -> None:
        if not well:
            raise ValueError(connection)

    @task("untouched")
    async def untouched() -> None: ...

    app = make_app(dependencies={"connection": Provide(provide_connection)}, before_send=[end])
    async with app.lifespan():
        service = service_of(app)
        await (await service.enqueue(use, well=True)).wait(timeout=5)
        await (await service.enqueue(use, well=False)).wait(timeout=5)
        await (await service.enqueue(untouched)).wait(timeout=5)

    assert ended == [("connection", 200), ("connection", 500)]
