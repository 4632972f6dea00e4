"""The orders example, as its README says: migrations, server, worker, and three requests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.databases.postgres import Database

ORDERS = Path(__file__).parents[2] / "examples" / "orders"
PATIENCE = 60.0

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def shop(database: Database, tmp_path: Path) -> Path:
    """A copy of the example, which may write migrations beside itself."""
    folder = tmp_path / "orders"
    shutil.copytree(ORDERS, folder, ignore=shutil.ignore_patterns("__pycache__", "migrations"))
    return folder


@pytest.fixture
def environment(database: Database) -> dict[str, str]:
    url = database.url.replace("postgresql:", "postgresql+asyncpg:")
    return {**os.environ, "ORDERS_DATABASE": url, "PYTHONUNBUFFERED": "1"}


def litestar(shop: Path, environment: dict[str, str], *arguments: str) -> str:
    """Run a command to its end, and return what it has printed."""
    done = subprocess.run(
        [sys.executable, "-m", "litestar", *arguments],
        cwd=shop,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def started(shop: Path, environment: dict[str, str], *arguments: str) -> Iterator[None]:
    """Run a command in the background."""
    log = shop / f"{'-'.join(arguments[:2])}.log"
    with log.open("wb") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "litestar", *arguments],
            cwd=shop,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield
    finally:
        child.terminate()
        child.wait(timeout=PATIENCE)
        print(log.read_text())  # noqa: T201  (shown if the test fails)


@pytest.fixture
def client(shop: Path, environment: dict[str, str]) -> Generator[httpx.Client]:
    """The example, migrated and running."""
    migrate(shop, environment)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (
        started(shop, environment, "run", "--port", str(port)),
        started(shop, environment, "queues", "worker"),
        httpx.Client(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        until(lambda: answers(client))
        yield client


def migrate(shop: Path, environment: dict[str, str]) -> None:
    litestar(shop, environment, "database", "init", "migrations", "--no-prompt")
    make = ("database", "make-migrations", "--no-prompt", "-m")
    litestar(shop, environment, *make, "shop and queue")
    litestar(shop, environment, "database", "upgrade", "--no-prompt")
    litestar(shop, environment, *make, "there is nothing left to do, and no file is written")


def until(true: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/jobs/nobody").status_code == 404
    except httpx.TransportError:
        return False


def test_the_readme_is_right(client: httpx.Client, shop: Path, database: Database) -> None:
    (migration,) = (shop / "migrations" / "versions").glob("[!_]*.py")
    assert "create_table('litestar_queues_job'" in migration.read_text()
    assert "INSERT INTO litestar_queues_schema" in migration.read_text()

    placed = client.post("/orders", json={"item": "lamp", "quantity": 2}).raise_for_status().json()
    job = f"/jobs/{placed['job']}"
    until(lambda: client.get(job).json()["status"] == "completed")
    assert client.get(job).json() == {"status": "completed", "result": 9000, "error": None}
    assert client.get(f"/orders/{placed['order']}").json() == {
        "id": placed["order"],
        "item": "lamp",
        "quantity": 2,
        "invoices": [9000],
    }

    refused = client.post("/orders", json={"item": "moon", "quantity": 1})
    assert refused.status_code == 400
    assert database.ask("SELECT count(*) FROM orders") == [(1,)]
    assert database.ask("SELECT count(*) FROM litestar_queues_job") == [(0,)]
    assert database.ask("SELECT count(*) FROM litestar_queues_history") == [(1,)]
