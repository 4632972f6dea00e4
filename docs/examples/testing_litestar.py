"""A Litestar application under test."""

from __future__ import annotations

from litestar import Litestar, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.testing import TestClient

from litestar_queues import QueueConfig, QueuePlugin, QueueService, task
from litestar_queues_core.testing import assert_enqueued, drain


@task("mail.welcome")
async def welcome(user: int) -> str:
    return f"welcome {user}"


@post("/users/{user:int}")
async def sign_up(
    user: FromPath[int], queue_service: NamedDependency[QueueService]
) -> dict[str, str]:
    result = await queue_service.enqueue(welcome, user)
    return {"job": result.id}


def create_app(*, testing: bool = False) -> Litestar:
    return Litestar([sign_up], plugins=[QueuePlugin(QueueConfig(), testing=testing)])


def test_a_new_user_is_welcomed() -> None:
    app = create_app(testing=True)
    with TestClient(app) as client:
        job_id = client.post("/users/7").json()["job"]

        service: QueueService = app.state.queue_service
        service.sync.run(assert_enqueued(service, welcome, 7))
        service.sync.run(drain(service))

        result = service.sync.get(job_id)
        assert result is not None
        assert result.result == "welcome 7"


test_a_new_user_is_welcomed()
