"""A short run of the kill test; ``nox -s chaos`` runs the long one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import kill


@pytest.mark.timeout(120)
async def test_nothing_is_lost_when_workers_are_killed(tmp_path: Path) -> None:
    report = await kill.run(jobs=400, kills=1, directory=tmp_path, seconds=0.02)

    assert report.holds, report
    assert report.kills == 1
