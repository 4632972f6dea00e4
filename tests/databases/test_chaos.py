"""Real processes on real servers; both are killed, and the network between them fails."""

from __future__ import annotations

import pytest
from tests.databases import mariadb, pgbouncer, targets
from tests.databases.targets import Booked, MariaTarget, PooledTarget, Target
from tests.sql.test_chaos import chaos

from litestar_queues_core.exits import UNUSABLE

pytestmark = pytest.mark.timeout(240)

FAULTS = ("block", "cut", "delay", "drop", "hole", "kill", "server", "stop")


SERVICES = [
    *("OldestTarget", "PooledTarget"),
    *("PsycopgTarget", "PsycopgSyncTarget", "AlchemyAsyncpgTarget", "AlchemyPsycopgTarget"),
    *("MariaTarget", "AiomysqlTarget", "AlchemyMariaTarget"),
]


@pytest.mark.parametrize(
    "target",
    ["PostgresTarget", *(pytest.param(one, marks=pytest.mark.service) for one in SERVICES)],
)
def test_nothing_is_lost_or_stuck_or_settled_twice(target: str) -> None:
    """Takes as long as things go wrong, and then a lease or two until all has been rescued."""
    kind: type[Target] = getattr(targets, target)
    if issubclass(kind, PooledTarget) and not pgbouncer.binary():
        pytest.skip("there is no pgbouncer on the path")
    if issubclass(kind, MariaTarget) and not mariadb.binary():
        pytest.skip("there is no MariaDB on the path")
    report = chaos(
        *(f"tests.databases.targets:{target}", "--seconds", "10"),
        *("--faults", ",".join(FAULTS)),
    )

    figures = report["figures"]
    assert report["kept"], figures["broken"]
    assert not report["skipped"]
    assert set(report["faults"]) <= set(FAULTS)
    assert set(report["deaths"]) <= {str(UNUSABLE)}  # of a store that could not be opened
    if issubclass(kind, Booked):
        assert figures["booked"] > 5
    assert figures["completed"] == figures["enqueued"] + figures["unanswered"] > 20
    assert report["settled_after"] < 60


@pytest.mark.parametrize(
    "target", ["AiosqliteTarget", pytest.param("AlchemySQLiteTarget", marks=pytest.mark.service)]
)
def test_an_application_that_shares_its_file(target: str) -> None:
    report = chaos(
        *(f"tests.databases.targets:{target}", "--seconds", "15"),
        *("--faults", "kill,stop,block,disk", "--jobs-per-second", "12"),
    )

    figures = report["figures"]
    assert report["kept"], figures["broken"]
    assert set(report["skipped"]) <= {"disk"}
    assert figures["booked"] > 5
    assert figures["completed"] == figures["enqueued"] + figures["unanswered"] > 20
    assert report["settled_after"] < 60
