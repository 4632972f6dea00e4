"""The embedded store agrees with the model."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from tests.model_machine import FOUND, search

from litestar_queues_core.testing.model import Driver, check_model
from litestar_queues_core.testing.model.checking import Fresh
from litestar_queues_core.testing.model.steps import Step
from litestar_queues_sql import SQLiteBackendConfig


@pytest.fixture
def fresh(tmp_path: Path) -> Fresh:
    numbers = itertools.count()
    return lambda: SQLiteBackendConfig(path=tmp_path / f"{next(numbers)}.db").open()


def test_hypothesis_finds_no_disagreement(fresh: Fresh, tmp_path: Path) -> None:
    search(fresh, examples=120)

    assert len(list(tmp_path.glob("*.db"))) >= 120


async def test_seeded_scripts_agree(fresh: Fresh) -> None:
    report = await check_model(fresh, scripts=50, steps=80)

    assert report.steps.total() == 50 * 80
    assert report.lacks == ()


@pytest.mark.parametrize("script", FOUND.values(), ids=FOUND)
async def test_what_was_found_once_is_right(script: list[Step], fresh: Fresh) -> None:
    async with fresh() as store:
        driver = await Driver(store).begin()
        for step in script:
            await driver.take(step)

    assert len(driver.script) == len(script)
