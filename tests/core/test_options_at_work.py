"""Options of a task, by what a worker does because of them."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from litestar_queues_core import QueueService, Worker, task

SOON = 5.0
JOBS = "litestar_queues.jobs"


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ({}, [(logging.INFO, "completed")]),
        ({"log_level": "debug"}, [(logging.DEBUG, "completed")]),
        ({"log_level": "error"}, [(logging.ERROR, "completed")]),
        ({"quiet_success": True}, []),
        ({"quiet_success": True, "log_level": "error"}, []),
    ],
    ids=str,
)
async def test_success_is_logged_at_the_level_of_the_task_or_not_at_all(
    service: QueueService,
    caplog: pytest.LogCaptureFixture,
    options: dict[str, Any],
    lines: list[tuple[int, str]],
) -> None:
    @task("report", **options)
    async def report() -> None: ...

    caplog.set_level(logging.DEBUG, JOBS)
    async with Worker(service, poll_interval=0.01):
        result = await (await service.enqueue(report)).wait(SOON)

    logged = [one for one in caplog.records if one.name == JOBS]
    assert [(one.levelno, one.getMessage().split()[2]) for one in logged] == lines
    assert [one.getMessage().split()[:2] for one in logged] == [
        ["report", result.id] for _ in lines
    ]


async def test_a_failure_is_logged_however_quiet_success_is(
    service: QueueService, caplog: pytest.LogCaptureFixture
) -> None:
    @task("report", quiet_success=True, log_level="debug")
    async def report() -> None:
        raise ValueError("no paper")

    async with Worker(service, poll_interval=0.01):
        await (await service.enqueue(report)).wait(SOON)

    (line,) = [one for one in caplog.records if one.name == JOBS]
    assert line.levelno == logging.ERROR
    assert "ValueError: no paper" in line.getMessage()


async def test_a_sync_task_runs_on_the_event_loop_if_it_says_so(service: QueueService) -> None:
    @task(sync_to_thread=False)
    def here() -> int:
        return threading.get_ident()

    @task
    def elsewhere() -> int:
        return threading.get_ident()

    async with Worker(service, poll_interval=0.01):
        ran = [await (await service.enqueue(one)).value(timeout=SOON) for one in (here, elsewhere)]

    assert ran[0] == threading.get_ident()
    assert ran[1] != threading.get_ident()
