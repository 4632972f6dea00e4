"""The store agrees with the model."""

from __future__ import annotations

import pytest
from tests.model_machine import FOUND, search
from tests.resp.conftest import ServerOf
from tests.resp.matrix import ALL, COMBINATIONS, Combination, make_config
from tests.resp.servers import Server

from litestar_queues_core.testing.model import check_model, run_script
from litestar_queues_core.testing.model.checking import Fresh
from litestar_queues_core.testing.model.steps import Step


@pytest.fixture
def fresh(server: Server) -> Fresh:
    return lambda: make_config("valkey-py", server.url).open()


def test_hypothesis_finds_no_disagreement(fresh: Fresh) -> None:
    search(fresh, examples=100)


@pytest.mark.parametrize("combination", COMBINATIONS)
async def test_seeded_scripts_agree(combination: Combination, emptied: ServerOf) -> None:
    url = emptied(combination.server).url

    report = await check_model(lambda: combination.config(url).open(), scripts=40, steps=80)

    assert report.steps.total() == 40 * 80
    assert report.lacks == ()


@pytest.mark.service
@pytest.mark.timeout(600)
@pytest.mark.parametrize("combination", ALL[::5], ids=str)  # both clients
async def test_many_more_scripts_agree(combination: Combination, emptied: ServerOf) -> None:
    url = emptied(combination.server).url

    await check_model(lambda: combination.config(url).open(), seed="more", scripts=500, steps=100)


@pytest.mark.parametrize("script", FOUND.values(), ids=FOUND)
async def test_what_was_found_once_is_right(script: list[Step], fresh: Fresh) -> None:
    await run_script(fresh, script)
