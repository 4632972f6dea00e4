"""What the README tells a newcomer to type works as it is written there."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import entry_points
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
APP, CORE = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
SHELL = re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
SERVE, WORK = (block.strip() for block in SHELL if block.startswith(".venv/bin/litestar"))
ENQUEUE, LOOK = (line for block in SHELL for line in block.splitlines() if line[:4] == "curl")
ANSWER = re.search(r"second answer is `(.*?)`", README)
EXTERNAL = re.search(r"`(QueueConfig\(worker=.*?\))` and start", README)

pytestmark = pytest.mark.timeout(240)

Start = Callable[..., subprocess.Popen[str]]


@contextmanager
def running(arguments: list[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LITESTAR")}
    with subprocess.Popen(
        arguments,
        cwd=folder,
        env={**environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a command of the README, with this Python instead of the one in ``.venv``."""
    with ExitStack() as stack:

        def start(command: str, *more: str) -> subprocess.Popen[str]:
            program, *arguments = shlex.split(command)
            assert program == ".venv/bin/litestar"
            python = [sys.executable, "-m", "litestar"]
            return stack.enter_context(running([*python, *arguments, *more], tmp_path))

        yield start


def address(server: subprocess.Popen[str]) -> str:
    """Return where the server listens, as soon as it says so."""
    printed = []
    assert server.stdout is not None
    for line in server.stdout:
        printed.append(line)
        if found := re.search(r"running on (http://[\w.:]+)", line):
            return found[1]
    raise AssertionError("".join(printed))


def curl(command: str, base: str) -> httpx.Response:
    """Send what the command line would send."""
    words = shlex.split(command)[1:]
    method = words[words.index("-X") + 1] if "-X" in words else "GET"
    return httpx.request(method, words[-1].replace("http://localhost:8000", base), timeout=10)


def ended(job_id: str, base: str) -> httpx.Response:
    """Return the answer about a job once it has ended."""
    deadline = time.monotonic() + 60
    while (answer := curl(LOOK.replace("<id>", job_id), base)).json()["status"] != "completed":
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.05)
    return answer


def test_the_quickstart_runs_as_it_is_written(tmp_path: Path, start: Start) -> None:
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")

    base = address(start(SERVE, "--port", "0"))
    job_id = curl(ENQUEUE, base).raise_for_status().json()["job"]
    answer = ended(job_id, base)

    assert ANSWER
    assert answer.text == ANSWER[1]
    assert (tmp_path / ".litestar-queues" / "queue.db").exists()
    status, _ = start(".venv/bin/litestar queues status").communicate(timeout=60)
    assert "completed" in status


def test_the_quickstart_works_with_a_worker_of_its_own(tmp_path: Path, start: Start) -> None:
    assert EXTERNAL
    app = APP.replace("QueueConfig()", EXTERNAL[1]).replace(" task\n", " WorkerConfig, task\n")
    (tmp_path / "app.py").write_text(app, encoding="utf-8")

    base = address(start(SERVE, "--port", "0"))
    job_id = curl(ENQUEUE, base).raise_for_status().json()["job"]
    assert curl(LOOK.replace("<id>", job_id), base).json()["status"] == "pending"
    start(WORK)

    assert ended(job_id, base).json()["words"] == 6


def test_the_core_works_without_litestar(tmp_path: Path) -> None:
    (tmp_path / "add.py").write_text(CORE, encoding="utf-8")

    with running([sys.executable, "add.py"], tmp_path) as program:
        printed, _ = program.communicate(timeout=60)

    assert (program.returncode, printed) == (0, "3\n")


def test_what_the_quickstart_installs_is_there() -> None:
    (install,) = (line for block in SHELL for line in block.splitlines() if " -e " in line)
    folders = re.findall(r"-e (\S+)", install)

    assert {Path(folder).name for folder in folders} == {
        "litestar-queues",
        "litestar-queues-core",
        "litestar-queues-sql",
    }
    assert all((ROOT / folder / "pyproject.toml").exists() for folder in folders)


def test_backends_are_called_ready_when_they_are() -> None:
    ready = re.findall(r"^\| ([\w ]+?)(?::.*)? \|.*\| ready \|$", README, re.MULTILINE)
    found = entry_points(group="litestar_queues.backends")
    ours = {point.name for point in found if point.dist and "litestar-queues" in point.dist.name}

    assert {name.lower().replace(" ", "_") for name in ready} == ours


def test_every_link_leads_somewhere() -> None:
    targets = re.findall(r"\]\((?!http)([^)#]+)", README)

    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []
