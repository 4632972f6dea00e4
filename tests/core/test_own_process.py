"""What a worker does to a process that exists for it alone, told with real processes."""

from __future__ import annotations

import importlib
import resource
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.core.processes import SOON, command

from litestar_queues_core import QueueService
from litestar_queues_core.worker.worker import most_memory_mib

APP = r"""
import threading, time

from litestar_queues_core import QueueConfig, WorkerConfig, task
from litestar_queues_sql.sqlite import SQLiteBackendConfig

HELD = []
settings = WorkerConfig(stall_limit=3, lease=60, max_memory=150)
config = QueueConfig(queue_backend=SQLiteBackendConfig(path="queue.db"), worker=settings)


@task("block")
async def block():
    time.sleep(60)  # here it stands


@task("stubborn")
def stubborn():
    print("in a thread", flush=True)
    threading.Event().wait()


@task("leak")
def leak():
    HELD.append(b"x" * 200 * 2**20)
"""


@pytest.fixture
async def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[QueueService]:
    """The queue of the module ``lonely``, on which worker processes started here work too."""
    pytest.importorskip("litestar_queues_sql.sqlite")
    (tmp_path / "lonely.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    async with QueueService(importlib.import_module("lonely").config) as opened:
        yield opened
    del sys.modules["lonely"]


async def test_a_loop_that_is_blocked_for_good_ends_its_process_and_names_the_line(
    service: QueueService,
) -> None:
    await service.enqueue("block")
    async with command("lonely:config") as shown:
        code = await shown.end()

    line = next(n for n, text in enumerate(APP.splitlines(), 1) if "here it stands" in text)
    assert code == 70
    assert f"lonely.py:{line} in block:" in shown.line("the event loop has been blocked for")
    assert f"lonely.py:{line} in block:" in shown.line("the event loop has been silent for")
    assert shown.line(f'lonely.py", line {line} in block')  # among the stacks


async def test_a_thread_that_does_not_stop_is_left_and_its_job_given_back_at_once(
    service: QueueService,
) -> None:
    result = await service.enqueue("stubborn")
    async with command("lonely:config") as shown:
        await shown.hear("in a thread")
        for told in ("told to stop by SIGTERM;", "SIGTERM again", "SIGTERM again"):
            shown.process.send_signal(signal.SIGTERM)
            await shown.hear(told)
        code = await shown.end()
    counts = await service.count()
    await result.refresh()

    assert code == 1
    assert shown.line("1 jobs cannot be stopped; leaving")
    assert result.status == "pending"
    assert result.record is not None
    assert result.record.rescues == 0
    assert [lease for lease in counts.leases if not lease.dead] == []


async def test_a_process_that_holds_too_much_memory_makes_room(service: QueueService) -> None:
    result = await service.enqueue("leak")
    async with command("lonely:config") as shown:
        assert await shown.end() == 0

    assert shown.line("holds over 150 MiB and makes room")
    assert await result.value(timeout=SOON) is None


@pytest.mark.parametrize(("platform", "unit"), [("linux", 2**10), ("darwin", 2**20)])
def test_the_most_memory_is_told_in_the_unit_of_the_platform(
    platform: str, unit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    least = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit

    most = most_memory_mib()

    assert least <= most <= resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
