"""A task that uses a dependency of the application."""

from __future__ import annotations

from collections.abc import AsyncIterator

from litestar import Litestar, post
from litestar.di import NamedDependency, Provide
from litestar.params import JSONBody
from litestar.testing import TestClient

from litestar_queues import QueueConfig, QueuePlugin, QueueService, task
from litestar_queues.backends.memory import MemoryBackendConfig

log: list[str] = []


class Database:
    """Stands for a connection."""

    async def write(self, text: str) -> None:
        log.append(text)


async def provide_database() -> AsyncIterator[Database]:
    log.append("open")
    yield Database()
    log.append("close")


@task("notes.save")
async def save(text: str, database: Database) -> None:
    await database.write(text)


@post("/notes")
async def create(
    data: JSONBody[dict[str, str]], queue_service: NamedDependency[QueueService]
) -> str:
    result = await queue_service.enqueue(save, data["text"])
    await result.wait(timeout=10)
    return str(result.status)


app = Litestar(
    [create],
    dependencies={"database": Provide(provide_database)},
    plugins=[QueuePlugin(QueueConfig(queue_backend=MemoryBackendConfig()))],
)

with TestClient(app) as client:
    assert client.post("/notes", json={"text": "hello"}).text == "completed"

assert log == ["open", "hello", "close"]
