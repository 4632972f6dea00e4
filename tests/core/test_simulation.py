"""The simulator finds what is broken, and tells the same story for the same seed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from litestar_queues_core.model import Job
from litestar_queues_core.settlements import Kind
from litestar_queues_core.testing.simulation import History, simulate
from litestar_queues_core.testing.simulation.command import main
from litestar_queues_core.worker import settling
from litestar_queues_core.worker.fetcher import Fetcher
from litestar_queues_core.worker.holdings import Holdings
from litestar_queues_core.worker.keeper import Lease
from litestar_queues_core.worker.run import Run, Stop

Plant = Callable[[pytest.MonkeyPatch], None]


def test_histories_with_all_faults_break_no_promise() -> None:
    report = simulate(range(200))

    assert report.violations == {}
    assert report.counts["completed"] > 500
    assert {"killed", "frozen", "parted", "outage", "refused", "cut"} <= report.faults.keys()


def test_a_seed_tells_the_same_story_in_any_process() -> None:
    code = (
        "from litestar_queues_core.testing.simulation import History\n"
        "History(8).run()\n"
        "history = History(17); history.run(); print(history.referee.story)"
    )
    stories = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    history = History(17)
    history.run()

    assert stories == {f"{history.referee.story}\n"}


def test_a_replay_tells_the_story(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seed", "3"]) == 0
    told = capsys.readouterr().out
    assert "claimed" in told
    assert told.endswith("no promise was broken\n")


def test_a_broken_promise_is_reported_with_the_command_that_replays_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _more_attempts_than_allowed(monkeypatch)

    assert main(["--histories", "3"]) == 1
    told = capsys.readouterr().out
    assert "replay: python -m litestar_queues_core.testing.simulation --seed " in told


def _more_attempts_than_allowed(plant: pytest.MonkeyPatch) -> None:
    """In ``lifecycle.after_failure``: ``<=`` for ``<``."""

    def after_failure(job: Job, *, retryable: bool) -> Kind:
        return Kind.RETRY if retryable and job.attempt <= job.new.spec.retries else Kind.FAIL

    plant.setattr(settling, "after_failure", after_failure)


def _takes_what_it_has(plant: pytest.MonkeyPatch) -> None:
    """The worker does not subtract from a replay what it knows."""

    def take(self: Holdings, jobs: Any) -> int:
        for job in jobs:
            run = self.held[job.id] = Run(job, asyncio.get_running_loop().time())
            self.buffer.append(run)
            self.taken += 1
        return len(jobs)

    plant.setattr(Holdings, "take", take)


def _judges_at_once(plant: pytest.MonkeyPatch) -> None:
    """The worker rescues others before it has renewed its own lease for long enough."""
    plant.setattr(Lease, "may_rescue", property(lambda self: True))


def _keeps_what_it_cannot_run(plant: pytest.MonkeyPatch) -> None:
    """The worker gives back nothing that has not started."""
    plant.setattr(Fetcher, "give_back", lambda self, age=0.0: None)


def _is_not_interrupted(plant: pytest.MonkeyPatch) -> None:
    """A run notes why it should stop, and its code goes on."""

    def stop(self: Run, reason: Stop) -> None:
        self.stopped = reason

    plant.setattr(Run, "stop", stop)


def _goes_on_without_its_lease(plant: pytest.MonkeyPatch) -> None:
    """The worker does not stop the code of jobs that belong to others now."""
    plant.setattr(Fetcher, "_drop_all", lambda self, announced: None)


PLANTS: list[Plant] = [
    _goes_on_without_its_lease,
    _is_not_interrupted,
    _judges_at_once,
    _keeps_what_it_cannot_run,
    _more_attempts_than_allowed,
    _takes_what_it_has,
]


@pytest.mark.parametrize("plant", PLANTS)
def test_a_planted_bug_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)

    reports = (simulate(range(first, first + 50)) for first in range(0, 4000, 50))

    assert any(report.violations for report in reports), f"all well, though: {plant.__doc__}"
