"""The example on Redis and Valkey runs as its README says."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from tests.resp.servers import Server, redis6_binary, valkey_binary

EXAMPLE = Path(__file__).parents[2] / "examples" / "redis"
README = (EXAMPLE / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
WORKER, SHOP = (block.strip() for block in BLOCKS if block.startswith("python "))
ANSWER = BLOCKS[-1]

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(params=[redis6_binary, valkey_binary], ids=["redis", "valkey"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Server]:
    with Server(request.param(), tmp_path / "server") as server:
        yield server


def start(command: str, folder: Path, server: Server) -> subprocess.Popen[str]:
    program, *arguments = shlex.split(command)
    assert program == "python"
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "SHOP_SERVER": server.url, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answer(folder: Path, server: Server) -> str:
    """Run the shop and a worker, and return what the shop has printed."""
    with start(WORKER, folder, server) as worker, start(SHOP, folder, server) as shop:
        try:
            printed, problems = shop.communicate(timeout=60)
            worker.terminate()
            _, log = worker.communicate(timeout=30)
        finally:
            shop.kill()
            worker.kill()
    assert shop.returncode == 0, problems
    assert worker.returncode == 0, log
    assert f"127.0.0.1:{server.port}, as shop" in log
    return printed


def test_the_example_answers_what_its_readme_says(server: Server) -> None:
    assert answer(EXAMPLE, server) == ANSWER


def test_it_answers_the_same_with_the_other_library(server: Server, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "example")
    tasks = tmp_path / "example" / "tasks.py"
    text = tasks.read_text(encoding="utf-8")
    changed = text.replace("litestar_queues_redis", "litestar_queues_valkey")
    changed = changed.replace("RedisBackendConfig", "ValkeyBackendConfig")
    tasks.write_text(changed, encoding="utf-8")
    assert changed.count("Valkey") == 2
    assert all(name in README for name in ("litestar_queues_valkey", "ValkeyBackendConfig"))

    assert answer(tmp_path / "example", server) == ANSWER


def test_the_readme_names_what_is_there() -> None:
    assert set(re.findall(r"^\| `(\S+)` \|", README, re.MULTILINE)) == {
        path.name for path in EXAMPLE.glob("*.py")
    }
    for folder in re.findall(r"packages/[\w-]+", README):
        assert (EXAMPLE.parents[1] / folder / "pyproject.toml").exists()
