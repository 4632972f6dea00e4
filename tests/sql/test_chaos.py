"""Real processes on the embedded store, killed, stopped, blocked, and with a full disk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from litestar_queues_core.testing.chaos import fleet
from litestar_queues_core.testing.chaos.command import main

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(180)


def command(store: str, *options: str) -> list[str]:
    module = "litestar_queues_core.testing.chaos"
    return [sys.executable, "-m", module, "--store", store, "--seed", "1", "--json", *options]


def chaos(store: str, *options: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as directory:  # where it keeps what was left of a bad run
        done = subprocess.run(
            command(store, *options),
            cwd=ROOT,
            env={**os.environ, "TMPDIR": directory},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if report["kept"] else 1)
    return report


def test_nothing_is_lost_or_stuck_or_settled_twice() -> None:
    report = chaos("sqlite", "--seconds", "15", "--faults", "kill,stop,block,disk,server")

    figures = report["figures"]
    assert report["kept"], figures["broken"]
    assert report["skipped"].pop("server") == "it has no server of its own"
    no_disk = report["skipped"].pop("disk", "")
    assert set(report["faults"]) == {"kill", "stop", "block", *(["disk"] * (not no_disk))}
    assert figures["completed"] == figures["enqueued"] + figures["unanswered"] > 100
    assert figures["run_again"]["rescued"] > 0
    assert report["settled_after"] < 60
    if no_disk:
        pytest.skip(f"all but the full disk: {no_disk}")


def test_a_server_may_die_and_its_network_fail() -> None:
    faults = ("cut", "delay", "drop", "hole", "kill", "server")
    report = chaos(
        *("tests.sql.chaos_server:RemoteTarget", "--seconds", "15", "--faults", ",".join(faults))
    )

    figures = report["figures"]
    assert report["kept"], figures["broken"]
    assert not report["skipped"]
    assert set(report["faults"]) == set(faults)
    assert figures["completed"] == figures["enqueued"] + figures["unanswered"] > 50


def test_a_store_that_loses_jobs_is_caught() -> None:
    report = chaos("tests.sql.chaos_targets:Losing", "--seconds", "4", "--faults", "kill")

    assert not report["kept"]
    assert report["figures"]["lost"] > 0


def test_a_store_that_rescues_live_leases_is_caught() -> None:
    report = chaos(
        *("tests.sql.chaos_targets:Rescuing", "--seconds", "6", "--faults", "block"),
        *("--patience", "2"),
    )

    assert not report["kept"]
    assert report["figures"]["taken_from_healthy"] > 0
    assert report["figures"]["lost"] == 0


def test_a_process_that_does_not_stop_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fleet, "STOP_SECONDS", 1.0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    code = main(
        [
            *("--store", "tests.sql.chaos_targets:Endless", "--seconds", "1"),
            *("--faults", "kill", "--seed", "2", "--json"),
        ]
    )

    report = json.loads(capsys.readouterr().out)
    assert code == 1
    assert report["figures"]["unstopped"] > 0
    assert report["figures"]["lost"] == 0
    (log, *_) = tmp_path.glob("chaos-kept-*/logs/producer-*.log")
    assert "in open" in log.read_text()


def test_no_process_outlives_the_runner(tmp_path: Path) -> None:
    """Not even those that are stopped, and although it is killed itself."""
    runner = subprocess.Popen(
        command("sqlite", "--seconds", "60", "--faults", "stop"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    with runner:
        children = until(lambda: started(tmp_path))
        victim = children[0]
        os.kill(victim, signal.SIGSTOP)
        runner.kill()

    assert until(lambda: not any(map(alive, children)))


def started(directory: Path) -> list[int]:
    """Return the workers that are at work, once there are all three."""
    (notes, *_), found = [*directory.glob("chaos-*/notes"), None], set[int]()
    if notes is not None:
        rows = [line.split("\t") for line in notes.read_text().splitlines()]
        found = {int(row[1]) for row in rows if row[0] == "ready"}
    return sorted(found) if len(found) >= 3 else []


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


T = TypeVar("T")


def until(what: Callable[[], T]) -> T:
    """Wait until there is something, and return it."""
    end = time.monotonic() + 30
    while not (found := what()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def test_the_memory_store_is_refused_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--store", "memory", "--faults", "kill"]) == 2

    assert "one process sees the jobs of the memory store" in capsys.readouterr().err


def test_an_unknown_target_is_refused_with_those_that_are_known(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--store", "sqlit", "--faults", "kill"]) == 2

    assert "known are memory, sqlite" in capsys.readouterr().err
