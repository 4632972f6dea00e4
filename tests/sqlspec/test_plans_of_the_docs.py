"""The plans that the documentation shows are those that the server makes."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.databases.postgres import Database

ROOT = Path(__file__).parents[2]


@pytest.mark.service
async def test_the_page_shows_how_it_is(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import plans

    page = plans.DOCS.read_text(encoding="utf-8").partition(plans.MARK)[2]
    found = plans.shape(plans.written(await plans.explained(database, 50_000)))

    assert len(found) > 20
    assert plans.shape(page) == found, "python benchmarks/plans.py --docs writes the page anew"
    assert not [line for line in found if "Seq Scan" in line or "Sort" in line]
