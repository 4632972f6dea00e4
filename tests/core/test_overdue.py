"""Code that runs past its timeout is told, and said, to be overdue."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator

import pytest

from litestar_queues_core import QueueService, Worker, task
from litestar_queues_core.worker import deadlines

SOON = 5.0


@pytest.fixture(autouse=True)
def _noticed_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "NOTICE", 0.1)


class Heard(logging.Handler):
    """Tells a test what is logged, as it happens."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []
        self._more = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        self._more.set()

    async def overdue(self) -> str:
        """Return the first line about an overdue job, once it comes."""
        async with asyncio.timeout(SOON):
            while True:
                for line in self.lines:
                    if "overdue" in line:
                        return line
                self._more.clear()
                await self._more.wait()


@pytest.fixture
async def heard() -> AsyncIterator[Heard]:
    logger, heard = logging.getLogger("litestar_queues.jobs"), Heard()
    logger.addHandler(heard)
    yield heard
    logger.removeHandler(heard)


async def test_a_thread_past_its_timeout_is_overdue_while_it_goes_on(
    service: QueueService, heard: Heard
) -> None:
    release = threading.Event()

    @task("stubborn", timeout=0.05)
    def stubborn() -> None:
        release.wait(SOON)

    async with Worker(service, poll_interval=0.01):
        result = await service.enqueue(stubborn)
        line = await heard.overdue()
        await result.refresh()
        status = result.status
        release.set()
        await result.wait(SOON)

    assert line == (
        f"stubborn {result.id}: past its timeout of 0.05 s, it is overdue; its thread goes on"
    )
    assert status == "running"
    assert result.status == "failed"


async def test_async_code_that_ignores_its_timeout_is_overdue_too(
    service: QueueService, heard: Heard
) -> None:
    release = asyncio.Event()

    @task("deaf", timeout=0.05)
    async def deaf() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    async with Worker(service, poll_interval=0.01):
        result = await service.enqueue(deaf)
        line = await heard.overdue()
        release.set()
        await result.wait(SOON)

    assert "overdue; its code goes on" in line


async def test_code_that_stops_at_its_timeout_is_not_overdue(
    service: QueueService, heard: Heard
) -> None:
    release = threading.Event()

    @task("obedient", timeout=0.05)
    async def obedient() -> None:
        await asyncio.Event().wait()

    @task("stubborn", timeout=0.1)
    def stubborn() -> None:
        release.wait(SOON)

    @task("waiting", timeout=0.05)
    def waiting() -> None: ...

    async with Worker(service, sync_threads=1, poll_interval=0.01):
        late = await service.enqueue(stubborn)
        results = [await service.enqueue(one) for one in (obedient, waiting)]
        await heard.overdue()
        release.set()
        for result in (late, *results):
            await result.wait(SOON)

    assert [line.split()[0] for line in heard.lines if "overdue" in line] == ["stubborn"]
