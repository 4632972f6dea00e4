"""The quickstart's demo tells its story, fails clearly, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

QUICKSTART = Path(__file__).parents[2] / "examples" / "quickstart"

pytestmark = pytest.mark.timeout(240)


@contextmanager
def demo(folder: Path, source: Path = QUICKSTART) -> Iterator[subprocess.Popen[str]]:
    """Run the demo with its temporary directory inside *folder*."""
    with subprocess.Popen(
        [sys.executable, str(source / "demo.py"), "--pictures", "30"],
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.terminate()  # it ends what it has started


def nothing_left(printed: str, folder: Path) -> bool:
    """Return whether all that the demo has started is gone, and all that it wrote."""
    groups = [int(pid) for pid in re.findall(r"started: pid (\d+)", printed)]
    return bool(groups) and not any(map(alive, groups)) and list(folder.iterdir()) == []


def alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_no_work_is_lost_when_server_and_worker_are_killed(tmp_path: Path) -> None:
    with demo(tmp_path) as running:
        printed, _ = running.communicate()

    assert running.returncode == 0, printed
    held = re.search(r"(\d+) jobs were in its hands", printed)
    last = printed.splitlines()[-1]
    tally = re.fullmatch(r"enqueued 30, completed 30, retried (\d+), rescued (\d+), lost 0", last)
    assert held, printed
    assert tally, printed
    assert int(tally[1]) == 5  # so many of the first 30 names are refused at first
    assert int(tally[2]) == int(held[1]) > 0
    assert nothing_left(printed, tmp_path)


def test_an_interrupted_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    with demo(tmp_path) as running:
        assert running.stdout is not None
        printed = next(line for line in running.stdout if "server started" in line)
        running.send_signal(signal.SIGINT)
        running.send_signal(signal.SIGTERM)  # as impatient parents do
        rest, _ = running.communicate()

    assert running.returncode == 130, rest
    assert nothing_left(printed, tmp_path)


def test_a_demo_that_fails_shows_what_its_processes_said(tmp_path: Path) -> None:
    source, folder = tmp_path / "source", tmp_path / "temporary"
    folder.mkdir()
    shutil.copytree(QUICKSTART, source)
    with (source / "tasks.py").open("a", encoding="utf-8") as tasks:
        tasks.write("\nraise RuntimeError('the printer is on fire')\n")

    with demo(folder, source) as running:
        printed, _ = running.communicate()

    assert running.returncode == 1
    assert "the demo failed: server ended with 1 before the server was up" in printed
    assert "RuntimeError: the printer is on fire" in printed
    assert list(folder.iterdir()) == []


def test_a_job_that_nobody_knows_counts_as_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(QUICKSTART))
    names = runpy.run_path(str(QUICKSTART / "demo.py"))
    done = {"status": "completed", "failures": 1, "rescues": 0}
    stuck = {"status": "running", "failures": 0, "rescues": 1}

    good = names["Tally"].of([done, done])
    bad = names["Tally"].of([done, stuck, None])

    assert good.good
    assert not bad.good
    assert str(bad) == "enqueued 3, completed 1, retried 1, rescued 1, lost 2"
