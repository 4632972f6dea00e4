"""Real processes on real servers; both are killed, and the network between them fails."""

from __future__ import annotations

import pytest
from tests.sql.test_chaos import chaos

pytestmark = pytest.mark.timeout(180)

FAULTS = ("cut", "delay", "drop", "hole", "kill", "server", "stop")


@pytest.mark.parametrize(
    "target", [pytest.param("ValkeyTarget"), pytest.param("RedisTarget", marks=pytest.mark.service)]
)
def test_nothing_is_lost_or_stuck_or_settled_twice(target: str) -> None:
    report = chaos(
        *(f"tests.resp.targets:{target}", "--seconds", "15", "--faults", ",".join(FAULTS))
    )

    figures = report["figures"]
    assert report["kept"], figures["broken"]
    assert not report["skipped"]
    assert set(report["faults"]) <= set(FAULTS)
    assert figures["completed"] == figures["enqueued"] + figures["unanswered"] > 20
    assert report["settled_after"] < 60
