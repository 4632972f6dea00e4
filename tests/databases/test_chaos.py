"""Real processes on real servers; both are killed, and the network between them fails."""

from __future__ import annotations

import pytest
from tests.databases import mariadb, pgbouncer
from tests.sql.test_chaos import chaos

pytestmark = pytest.mark.timeout(240)

FAULTS = ("block", "cut", "delay", "drop", "hole", "kill", "server", "stop")


@pytest.mark.parametrize(
    "target",
    [
        "PostgresTarget",
        pytest.param("OldestTarget", marks=pytest.mark.service),
        pytest.param("PooledTarget", marks=pytest.mark.service),
        pytest.param("MariaTarget", marks=pytest.mark.service),
    ],
)
def test_nothing_is_lost_or_stuck_or_settled_twice(target: str) -> None:
    if target == "PooledTarget" and not pgbouncer.binary():
        pytest.skip("there is no pgbouncer on the path")
    if target == "MariaTarget" and not mariadb.binary():
        pytest.skip("there is no MariaDB on the path")
    report = chaos(
        *(f"tests.databases.targets:{target}", "--seconds", "15"),
        *("--faults", ",".join(FAULTS)),
    )

    figures = report["figures"]
    assert report["kept"], figures["broken"]
    assert not report["skipped"]
    assert set(report["faults"]) <= set(FAULTS)
    assert figures["booked"] > 5
    assert figures["completed"] == figures["enqueued"] + figures["unanswered"] > 20
    assert report["settled_after"] < 60


def test_an_application_that_shares_its_file() -> None:
    report = chaos(
        *("tests.databases.targets:FileTarget", "--seconds", "15"),
        *("--faults", "kill,stop,block,disk", "--jobs-per-second", "12"),
    )

    figures = report["figures"]
    assert report["kept"], figures["broken"]
    assert set(report["skipped"]) <= {"disk"}
    assert figures["booked"] > 5
    assert figures["completed"] == figures["enqueued"] + figures["unanswered"] > 20
    assert report["settled_after"] < 60
