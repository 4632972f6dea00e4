from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar, get, post
from litestar.config.app import AppConfig
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath
from litestar.testing import AsyncTestClient

from litestar_queues import (
    ConfigError,
    NoServiceError,
    PayloadError,
    QueueConfig,
    QueuePlugin,
    QueueService,
    StoreError,
    TaskModuleError,
    UnknownBackendError,
    UnknownTaskError,
    WorkerConfig,
    WrongLoopError,
    task,
)
from litestar_queues.serializer import MsgspecSerializer
from litestar_queues_core.serializer import JsonSerializer
from litestar_queues_core.stores.memory import MemoryBackendConfig

MakeApp = Callable[..., Litestar]


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LITESTAR_QUEUES_SQLITE_PATH", raising=False)


@task("double")
async def double(number: int) -> int:
    return 2 * number


@post("/double/{number:int}")
async def enqueue_double(
    number: FromPath[int], queue_service: NamedDependency[QueueService]
) -> dict[str, Any]:
    result = await queue_service.enqueue(double, number)
    return {"id": result.id, "value": await result.value(timeout=5)}


async def test_a_handler_enqueues_and_a_worker_in_the_app_runs_it(make_app: MakeApp) -> None:
    app = make_app(enqueue_double)
    async with AsyncTestClient(app) as client:
        response = await client.post("/double/21")

        assert response.json()["value"] == 42


async def test_on_one_loop_the_state_has_the_same_service(make_app: MakeApp) -> None:
    app = make_app(enqueue_double)
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with (
        app.lifespan(),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        answer = (await client.post("/double/4")).json()

        assert await (await app.state.queue_service.get(answer["id"])).value(timeout=5) == 8
    assert "queue_service" not in app.state


async def test_without_settings_jobs_last_in_a_file(make_app: MakeApp, tmp_path: Path) -> None:
    config = QueueConfig(worker=WorkerConfig(placement="external"))
    async with make_app(config=config).lifespan():
        result = await double.enqueue(5)

    async with make_app(config=QueueConfig()).lifespan():
        found = await _service().get(result.id)

        assert found is not None
        assert await found.value(timeout=5) == 10
    assert (tmp_path / ".litestar-queues" / "queue.db").is_file()


def _service() -> QueueService:
    from litestar_queues_core.current import current_service

    return current_service()


async def test_the_settings_are_left_as_they_were(make_app: MakeApp) -> None:
    config = QueueConfig()
    app = make_app(config=config)
    async with app.lifespan():
        service: QueueService = app.state.queue_service

        assert isinstance(service.serializer, MsgspecSerializer)
        assert service.config.queue_backend is not None
    assert config == QueueConfig()


async def test_a_serializer_of_ones_own_is_used(make_app: MakeApp) -> None:
    serializer = JsonSerializer()
    app = make_app(config=QueueConfig(queue_backend="memory", serializer=serializer))
    async with app.lifespan():
        assert app.state.queue_service.serializer is serializer


async def test_testing_keeps_jobs_in_memory_and_runs_none(make_app: MakeApp) -> None:
    app = make_app(plugins=[QueuePlugin(testing=True)])
    async with app.lifespan():
        service: QueueService = app.state.queue_service
        result = await service.enqueue(double, 1)

        assert isinstance(service.config.queue_backend, MemoryBackendConfig)
        assert not (await service.count()).leases
        assert result.status == "pending"
    async with app.lifespan():
        assert await app.state.queue_service.get(result.id) is None


async def test_one_plugin_serves_an_application_that_is_made_twice() -> None:
    plugin = QueuePlugin(QueueConfig(queue_backend="memory"))

    def create_app() -> Litestar:
        return Litestar([enqueue_double], plugins=[plugin], logging_config=None)

    first, second = create_app(), create_app()
    async with first.lifespan(), second.lifespan():
        result = await first.state.queue_service.enqueue(double, 1)
        await result.wait(timeout=5)

        assert first.state.queue_service is not second.state.queue_service
        assert await second.state.queue_service.get(result.id) is None
        assert len((await first.state.queue_service.count()).leases) == 1
    async with first.lifespan():
        assert await (await first.state.queue_service.enqueue(double, 2)).value(timeout=5) == 4


def test_registering_twice_is_registering_once() -> None:
    plugin = QueuePlugin(QueueConfig(queue_backend="memory"))
    settings = AppConfig(plugins=[plugin])
    plugin.on_app_init(settings)
    once = [*settings.lifespan], [*settings.plugins], dict(settings.dependencies)

    plugin.on_app_init(settings)

    assert (settings.lifespan, settings.plugins, settings.dependencies) == once


async def test_the_dependency_can_have_another_name(make_app: MakeApp) -> None:
    @get("/")
    async def handler(jobs: NamedDependency[QueueService]) -> str:
        return (await jobs.enqueue(double, 1)).status or ""

    config = QueueConfig(queue_backend="memory", dependency_key="jobs")
    async with AsyncTestClient(make_app(handler, config=config)) as client:
        assert (await client.get("/")).text == "pending"


async def test_an_application_that_is_not_started_says_so(make_app: MakeApp) -> None:
    app = make_app(enqueue_double)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.post("/double/1")

    assert answer.status_code == 500
    with pytest.raises(NoServiceError, match=r"has not been started: .* 'async with app.lifespan"):
        await _resolve(app)


async def _resolve(app: Litestar) -> None:
    provide: Any = app.dependencies["queue_service"]
    await provide(state=app.state)


async def test_the_test_clients_loop_is_not_the_tests(make_app: MakeApp) -> None:
    app = make_app(enqueue_double)
    async with AsyncTestClient(app):
        service: QueueService = app.state.queue_service
        with pytest.raises(WrongLoopError, match=r"service\.sync"):
            await service.enqueue(double, 1)

        assert service.sync.enqueue(double, 1).status == "pending"


def test_a_second_plugin_is_refused(make_app: MakeApp) -> None:
    with pytest.raises(ConfigError, match=r"two QueuePlugins; keep one: .* @task\(queue="):
        make_app(plugins=[QueuePlugin(testing=True), QueuePlugin(testing=True)])


def test_a_dependency_of_the_same_name_is_not_overwritten(make_app: MakeApp) -> None:
    async def provide_mine() -> str:
        return "mine"

    with pytest.raises(ConfigError, match=r"'queue_service' already; .*dependency_key="):
        make_app(dependencies={"queue_service": Provide(provide_mine)})


@pytest.mark.parametrize(
    ("backend", "error", "message"),
    [
        ("sqlspec", ConfigError, r"queue_backend=SQLSpecBackendConfig\(\.\.\.\)"),
        ("rabbit", UnknownBackendError, r"'rabbit'; installed: .*sqlite"),
    ],
)
def test_a_backend_that_is_not_there_is_found_out_when_the_app_is_made(
    make_app: MakeApp, backend: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make_app(config=QueueConfig(queue_backend=backend))


async def test_a_task_module_that_cannot_be_imported_stops_the_start(make_app: MakeApp) -> None:
    app = make_app(config=QueueConfig(queue_backend="memory", task_modules=["no_such_module"]))
    message = "'no_such_module': ModuleNotFoundError"
    with pytest.RaisesGroup(pytest.RaisesExc(TaskModuleError, match=message)):
        async with app.lifespan():
            raise AssertionError("it has started")
    assert "queue_service" not in app.state


async def test_a_file_that_is_no_database_stops_the_start(
    make_app: MakeApp, tmp_path: Path
) -> None:
    file = tmp_path / ".litestar-queues" / "queue.db"
    file.parent.mkdir()
    file.write_bytes(b"this is no database, and was here before" * 100)

    app = make_app(config=QueueConfig())
    wanted = pytest.RaisesExc(StoreError, match=r"is not a SQLite database .*move it away")
    with pytest.RaisesGroup(wanted):
        async with app.lifespan():
            raise AssertionError("it has started")
    assert file.read_bytes().startswith(b"this is no database")


async def test_a_bad_request_for_a_job_loses_none(make_app: MakeApp) -> None:
    app = make_app(plugins=[QueuePlugin(testing=True)])
    async with app.lifespan():
        service: QueueService = app.state.queue_service
        kept = await service.enqueue(double, 1)
        with pytest.raises(UnknownTaskError, match=r"'dubble'; did you mean 'double'\?"):
            await service.enqueue("dubble", 1)
        with pytest.raises(TypeError, match="missing 1 required positional argument: 'number'"):
            await service.enqueue(double)
        with pytest.raises(PayloadError, match="'number'"):
            await service.enqueue(double, object())

        assert [job.id for job in (await service.find()).jobs] == [kept.id]


async def test_starting_says_where_jobs_are_kept(
    make_app: MakeApp, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with make_app(config=QueueConfig()).lifespan():
        pass

    assert f"jobs are kept in {tmp_path}/.litestar-queues/queue.db" in caplog.text


def test_a_plugin_takes_a_queue_config_only() -> None:
    with pytest.raises(ConfigError, match=r"QueuePlugin\(config=\.\.\.\) must be a QueueConfig"):
        QueuePlugin(config={"queue_backend": "memory"})  # type: ignore[arg-type]
