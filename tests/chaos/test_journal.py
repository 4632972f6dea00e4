"""The example for authors of backends: processes are killed, stopped, blocked, the disk is full."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.mark.timeout(120)
def test_the_journal_loses_nothing() -> None:
    command = [sys.executable, "-m", "litestar_queues_core.testing.chaos", "--json"]
    command += ["--store=journal_queue.chaos:JournalTarget", "--faults=kill,stop,block,disk"]
    command += ["--seconds=8", "--jobs-per-second=10"]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert {"kill", "stop", "block"} <= set(report["faults"])  # a small disk is not had everywhere
    assert report["figures"]["completed"] > 20
