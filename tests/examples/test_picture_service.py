"""The quickstart's application, without processes: what it keeps, refuses and answers."""

from __future__ import annotations

import importlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar

from litestar_queues import QueueService
from litestar_queues_core.registry import default_registry
from litestar_queues_core.testing import drain

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart"

Client = httpx.AsyncClient


@pytest.fixture
async def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Litestar]:
    monkeypatch.syspath_prepend(str(QUICKSTART))
    monkeypatch.setenv("QUICKSTART_DATA", str(tmp_path))
    with default_registry.restored():
        try:
            module = importlib.import_module("app")
            async with module.app.lifespan():
                yield module.app
        finally:
            for name in ("app", "tasks", "pictures"):
                sys.modules.pop(name, None)


@pytest.fixture
async def client(app: Litestar) -> AsyncIterator[Client]:
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    async with Client(transport=transport, base_url="http://localhost") as client:
        yield client


@pytest.fixture
def service(app: Litestar) -> QueueService:
    service: QueueService = app.state.queue_service
    return service


async def upload(client: Client, name: str) -> str:
    draw = importlib.import_module("pictures").draw
    answer = await client.put(f"/pictures/{name}", content=draw(7))
    assert answer.status_code == 202
    return str(answer.json()["job"])


async def show(client: Client, job_id: str) -> dict[str, Any]:
    answer = await client.get(f"/jobs/{job_id}")
    return dict(answer.raise_for_status().json())


async def test_a_picture_gets_a_thumbnail_and_a_report(
    client: Client, service: QueueService
) -> None:
    job_id = await upload(client, "lake.jpg")
    assert (await client.get("/thumbnails/lake.jpg")).status_code == 404

    await drain(service)

    job = await show(client, job_id)
    assert job["status"] == "completed"
    assert job["progress"] == {"current": 3, "total": 3, "message": "published"}
    assert (job["report"]["width"], job["report"]["height"]) == (640, 480)
    thumbnail = await client.get(job["report"]["thumbnail"])
    assert thumbnail.headers["content-type"] == "image/jpeg"
    assert thumbnail.content.startswith(b"\xff\xd8")
    assert (await client.get("/summary")).json() == {"completed": 1}


async def test_a_picture_that_is_refused_at_first_waits_for_another_attempt(
    client: Client, service: QueueService
) -> None:
    job_id = await upload(client, "picture-000.jpg")

    await drain(service)

    job = await show(client, job_id)
    assert job["status"] in {"pending", "scheduled"}
    assert job["failures"] == 1
    assert "the shelf is busy" in job["error"]


async def test_the_same_picture_waits_only_once(client: Client) -> None:
    first, second = await upload(client, "lake.jpg"), await upload(client, "lake.jpg")

    assert first == second


@pytest.mark.parametrize("name", ["lake.sh", "..", "%2e%2e%5clake.jpg", ".jpg"])
async def test_other_names_are_refused(client: Client, tmp_path: Path, name: str) -> None:
    before = sorted(tmp_path.rglob("*.*"))

    answer = await client.put(f"/pictures/{name}", content=b"")

    assert answer.status_code in {400, 404, 405}
    assert sorted(tmp_path.rglob("*.*")) == before


async def test_an_unknown_job_is_not_found(client: Client) -> None:
    answer = await client.get("/jobs/nobody")

    assert answer.status_code == 404
