"""Ten thousand simulated histories, none of which may break a promise."""

from __future__ import annotations

import pytest

from litestar_queues_core.testing.simulation import simulate

HISTORIES = 10_000
SHARE = 625


@pytest.mark.parametrize("first", range(0, HISTORIES, SHARE))
def test_no_history_breaks_a_promise(first: int) -> None:
    report = simulate(range(first, first + SHARE))

    assert report.violations == {}, str(report)
    assert report.histories == SHARE
