"""Served for real: each way an application is started, work done, SIGTERM, and nothing left."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

APP = """
from __future__ import annotations

import asyncio
import os
from typing import Any

from litestar import Litestar, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from litestar_queues import QueueConfig, QueuePlugin, QueueService, WorkerConfig, task

placement = os.environ.get("PLACEMENT", "app")


@task("pid")
async def pid(seconds: float) -> int:
    await asyncio.sleep(seconds)
    return os.getpid()


@post("/jobs/{seconds:float}")
async def enqueue(
    seconds: FromPath[float], queue_service: NamedDependency[QueueService]
) -> dict[str, Any]:
    result = await queue_service.enqueue(pid, seconds)
    return {"id": result.id, "web": os.getpid()}


@get("/jobs/{job_id:str}")
async def look(
    job_id: FromPath[str], queue_service: NamedDependency[QueueService]
) -> dict[str, Any]:
    result = await queue_service.get(job_id)
    return {"status": result.status, "result": result.result}


@get("/workers")
async def workers(queue_service: NamedDependency[QueueService]) -> list[int]:
    return [lease.pid for lease in (await queue_service.count()).leases]


plugin = QueuePlugin(QueueConfig(worker=WorkerConfig(placement=placement, lease=3.0, grace=10.0)))


def create_app() -> Litestar:
    return Litestar([enqueue, look, workers], plugins=[plugin], logging_config=None)


app = create_app()
"""

DEADLINE = 45.0

pytestmark = pytest.mark.timeout(150)


class Site:
    """A directory with an application, and the processes that a test starts in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"Connection": "close"},
            timeout=DEADLINE,
        )
        (directory / "site_app.py").write_text(APP, encoding="utf-8")
        # Litestar imports it wherever it is installed, which takes longer than all the rest.
        hidden = "raise ImportError('not here')\n"
        (directory / "advanced_alchemy.py").write_text(hidden, encoding="utf-8")

    @contextmanager
    def running(self, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a Python module in a group of processes of its own; in the end none is left."""
        log = self.directory / "log.txt"
        with log.open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=self.directory,
                env={**os.environ, "LITESTAR_APP": "site_app:app", **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            yield process
        except BaseException:
            sys.stderr.write(log.read_text(encoding="utf-8", errors="replace"))
            raise
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(DEADLINE)

    def ask(self, method: str, path: str) -> Any:
        answer = self.client.request(method, path)
        answer.raise_for_status()
        return answer.json()

    def is_up(self) -> bool:
        try:
            self.ask("GET", "/workers")
        except (httpx.TransportError, httpx.HTTPStatusError):
            return False
        return True

    def result_of(self, job: dict[str, Any]) -> int:
        """Return what a job has returned, once it has."""
        last: dict[str, Any] = {}

        def is_done() -> bool:
            last.update(self.ask("GET", f"/jobs/{job['id']}"))
            return bool(last["status"] == "completed")

        until(is_done)
        result: int = last["result"]
        return result


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def until(condition: Callable[[], bool]) -> None:
    """Return once *condition* holds; it must do so before the deadline."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "too late"
        time.sleep(0.05)


def is_gone(pid: int) -> bool:
    """Return whether there is no such process, or only its memory for its parent."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def group_is_gone(leader: int) -> bool:
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    with site.client:
        yield site


def test_litestar_run_of_a_factory(site: Site) -> None:
    app = ("--app", "site_app:create_app")
    with site.running("litestar", *app, "run", "--port", str(site.port)) as server:
        until(site.is_up)
        quick = site.result_of(site.ask("POST", "/jobs/0.0"))
        slow = site.ask("POST", "/jobs/1.0")
        server.send_signal(signal.SIGTERM)

        assert quick == server.pid
        assert server.wait(DEADLINE) in (0, -signal.SIGTERM)
        until(lambda: group_is_gone(server.pid))
    with site.running("uvicorn", "site_app:app", "--port", str(site.port)):
        until(site.is_up)

        assert site.result_of(slow) in (server.pid, *site.ask("GET", "/workers"))


def test_several_web_workers_share_the_file(site: Site) -> None:
    options = ("--wc", "2", "--port", str(site.port))
    with site.running("litestar", "run", *options) as server:
        until(lambda: site.is_up() and len(site.ask("GET", "/workers")) == 2)
        pids = site.ask("GET", "/workers")
        jobs = [site.ask("POST", "/jobs/0.2") for _ in range(30)]

        assert {site.result_of(job) for job in jobs} == set(pids)
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(DEADLINE)
        until(lambda: group_is_gone(server.pid))
    assert all(map(is_gone, pids))


def test_an_external_worker_beside_a_web_process_without_one(site: Site) -> None:
    web = ("uvicorn", "site_app:app", "--port", str(site.port))
    with (
        site.running(*web, PLACEMENT="external") as server,
        site.running("litestar", "queues", "worker", "--processes", "2") as workers,
    ):
        until(lambda: site.is_up() and len(site.ask("GET", "/workers")) == 2)
        pids = site.ask("GET", "/workers")
        jobs = [site.ask("POST", "/jobs/0.2") for _ in range(30)]

        assert {site.result_of(job) for job in jobs} == set(pids)
        assert server.pid not in pids
        slow = site.ask("POST", "/jobs/1.0")
        until(lambda: site.ask("GET", f"/jobs/{slow['id']}")["status"] == "running")
        workers.send_signal(signal.SIGTERM)
        assert workers.wait(DEADLINE) == 0
        assert all(map(is_gone, pids))
        assert site.ask("GET", f"/jobs/{slow['id']}")["status"] == "completed"
        server.send_signal(signal.SIGTERM)
        server.wait(DEADLINE)
        until(lambda: group_is_gone(server.pid))
