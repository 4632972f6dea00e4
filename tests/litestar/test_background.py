from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from litestar import Litestar, Response, get
from litestar.background_tasks import BackgroundTask, BackgroundTasks
from litestar.testing import AsyncTestClient

from litestar_queues import QueuedBackgroundTask, QueuePlugin, task

MakeApp = Callable[..., Litestar]


async def jobs_of(app: Litestar) -> list[tuple[str, str]]:
    service = app.state.queue_service
    page = service.sync.find()
    return [(job.task, job.queue) for job in page.jobs]


async def test_a_job_is_enqueued_after_the_response(make_app: MakeApp) -> None:
    @task("welcome")
    async def welcome(name: str, *, greeting: str = "hello") -> str:
        return f"{greeting} {name}"

    @get("/")
    async def handler() -> Response[str]:
        background = QueuedBackgroundTask(welcome.using(queue="mail"), "you", greeting="servus")
        return Response("sent", background=background)

    app = make_app(handler, plugins=[QueuePlugin(testing=True)])
    async with AsyncTestClient(app) as client:
        assert (await client.get("/")).text == "sent"

        assert await jobs_of(app) == [("welcome", "mail")]


async def test_it_works_among_other_background_tasks(make_app: MakeApp) -> None:
    done: list[str] = []

    @task("welcome")
    async def welcome(name: str) -> None: ...

    async def note(what: str) -> None:
        done.append(what)

    @get("/")
    async def handler() -> Response[None]:
        tasks = [
            BackgroundTask(note, "before"),
            QueuedBackgroundTask("welcome", "you", queue="mail"),
            BackgroundTask(note, "after"),
        ]
        return Response(None, background=BackgroundTasks(tasks))

    app = make_app(handler, plugins=[QueuePlugin(testing=True)])
    async with AsyncTestClient(app) as client:
        await client.get("/")

        assert await jobs_of(app) == [("welcome", "mail")]
    assert done == ["before", "after"]


async def test_a_failure_is_logged_and_the_others_go_on(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    @task("welcome")
    async def welcome(name: str) -> None: ...

    @get("/")
    async def handler() -> Response[str]:
        tasks = [
            QueuedBackgroundTask(welcome, name="you", surname="too"),
            QueuedBackgroundTask("unknown"),
            QueuedBackgroundTask(welcome, "you"),
        ]
        return Response("sent", background=BackgroundTasks(tasks))

    app = make_app(handler, plugins=[QueuePlugin(testing=True)])
    async with AsyncTestClient(app) as client:
        assert (await client.get("/")).text == "sent"

        assert await jobs_of(app) == [("welcome", "default")]
    first, second = [one for one in caplog.records if one.name == "litestar_queues.background"]
    assert first.levelno == logging.ERROR
    assert "no job of task 'welcome' was enqueued" in first.getMessage()
    assert "surname" in str(first.exc_info)
    assert "no job of task 'unknown' was enqueued" in second.getMessage()
