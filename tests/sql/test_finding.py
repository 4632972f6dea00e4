"""Finding jobs through a service, and changing all that a query finds, on either store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from litestar_queues_core import (
    ConfigError,
    JobQuery,
    QueueConfig,
    QueueService,
    Status,
    Worker,
    task,
)
from litestar_queues_core.registry import default_registry
from litestar_queues_core.stores.memory import MemoryBackendConfig
from litestar_queues_sql import SQLiteBackendConfig


@pytest.fixture(autouse=True)
def _tasks() -> Any:
    with default_registry.restored():
        task("work", queue="mail")(work)
        task("fail", queue="mail", retries=0)(fail)
        yield


@pytest.fixture(params=["memory", "sqlite"])
async def service(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[QueueService]:
    backends = {
        "memory": MemoryBackendConfig(),
        "sqlite": SQLiteBackendConfig(path=tmp_path / "queue.db"),
    }
    async with QueueService(QueueConfig(queue_backend=backends[request.param])) as opened:
        yield opened


async def work(number: int = 0) -> int:
    return number


async def fail() -> None:
    raise ValueError("no")


@pytest.mark.parametrize(
    "status", ["failed", Status.FAILED, ["failed"], (Status.FAILED,), {"failed", Status.EXPIRED}]
)
async def test_a_status_may_be_one_or_several_and_a_text(
    service: QueueService, status: object
) -> None:
    await service.enqueue("work")
    failed = await service.enqueue("fail")
    await Worker(service, burst=True).run()

    page = await service.find(status=status)

    assert [job.id for job in page.jobs] == [failed.id]


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        (
            {"status": "lost"},
            r"JobQuery\.status must be one of 'pending', 'scheduled', .* not 'lost'",
        ),
        ({"status": ["failed", 5]}, r"JobQuery\.status must be one of .* not 5"),
        ({"status": 5}, r"JobQuery\.status must be a list of .*, not 5"),
        ({"limit": 0}, r"JobQuery\.limit must be a whole number from 1"),
        ({"limit": "5"}, r"JobQuery\.limit must be a whole number from 1"),
        ({"text": 5}, r"JobQuery\.text must be of type str or None, not 5"),
        ({"queue": ["mail"]}, r"JobQuery\.queue must be of type str or None, not \['mail'\]"),
        ({"task": work}, r"JobQuery\.task must be of type str or None, not <function work"),
        ({"key": b"k"}, r"JobQuery\.key must be of type str or None"),
        ({"cursor": 3}, r"JobQuery\.cursor must be of type str or None"),
        ({"cursor": "zz"}, "'zz' is no cursor of this store; take that of the page before"),
        ({"cursor": ""}, "'' is no cursor of this store"),
        ({"cursor": "\u00b2"}, "is no cursor of this store"),
        ({"cursor": "1" * 5000}, "is no cursor of this store"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_a_query_that_cannot_work_is_refused(
    service: QueueService, filters: dict[str, Any], message: str
) -> None:
    await service.enqueue("work")

    with pytest.raises(ConfigError, match=message):
        await service.find(**filters)
    with pytest.raises(ConfigError, match=message):
        await service.find(JobQuery(**filters))


async def test_a_query_is_given_as_one_or_by_its_fields(service: QueueService) -> None:
    with pytest.raises(TypeError, match=r"a JobQuery or its fields by name, not both"):
        await service.find(JobQuery(), status="failed")
    with pytest.raises(TypeError, match=r"find\(\) takes a JobQuery, not 'failed'"):
        await service.find("failed")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="statuses"):
        await service.find(statuses="failed")


async def test_text_that_no_store_holds_is_looked_for_as_it_was_stored(
    service: QueueService,
) -> None:
    job = await service.enqueue("work", key="k\0\ud800")

    assert [one.id for one in (await service.find(key="k\0\ud800")).jobs] == [job.id]
    assert not (await service.find(queue="\ud800", task="\0", text="\udfff")).jobs


async def test_all_that_a_query_describes_is_cancelled(service: QueueService) -> None:
    done = await service.enqueue("work")
    await Worker(service, burst=True).run()
    waiting = [(await service.enqueue("work")).id for _ in range(5)]
    other = await service.enqueue("work", queue="files")
    told: list[int] = []

    outcomes = await service.cancel_all(JobQuery(queue="mail", limit=2), progress=told.append)

    assert outcomes == dict.fromkeys(reversed(waiting), "cancelled")
    assert sum(told) == 5
    assert (await done.refresh()).status is Status.COMPLETED
    assert (await other.refresh()).status is Status.PENDING
    assert await service.cancel_all(status="completed") == {done.id: "already_finished"}


async def test_all_that_failed_is_revived(service: QueueService) -> None:
    done = await service.enqueue("work")
    failed = [(await service.enqueue("fail")).id for _ in range(3)]
    await Worker(service, burst=True).run()

    answers = await service.revive_all(JobQuery(limit=2))

    assert {job_id: answer.error for job_id, answer in answers.items()} == dict.fromkeys(failed)
    assert {job.id for job in (await service.find(status="pending")).jobs} == set(failed)
    assert (await done.refresh()).status is Status.COMPLETED
