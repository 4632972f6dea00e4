"""The memory store agrees with the model, and the model check itself works."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

import pytest
from tests.broken.stores import LetsARetryWin
from tests.core.bare import BareBackend
from tests.model_machine import FOUND, search

from litestar_queues_core.ids import LeaseId
from litestar_queues_core.settlements import Kind, Renewal, Wants
from litestar_queues_core.stores.memory import MemoryBackendConfig, MemoryStore
from litestar_queues_core.testing.model import Disagreement, Driver, check_model, run_script
from litestar_queues_core.testing.model.shrinking import Shrinker
from litestar_queues_core.testing.model.steps import (
    Cancel,
    Ending,
    Enqueue,
    Open,
    Plan,
    Step,
    Swap,
    Wait,
)


def fresh() -> AbstractAsyncContextManager[MemoryStore]:
    return MemoryBackendConfig().open()


def test_hypothesis_finds_no_disagreement() -> None:
    opened = itertools.count()

    def counted() -> AbstractAsyncContextManager[MemoryStore]:
        next(opened)
        return fresh()

    search(counted, examples=300)

    assert next(opened) >= 300


async def test_seeded_scripts_agree() -> None:
    report = await check_model(fresh, scripts=400, steps=80)

    assert report.scripts == 400
    assert report.steps.total() == 400 * 80
    assert report.lacks == ()
    assert min(report.steps.values()) > 100
    assert "32000 steps of 400 scripts agree" in str(report)


@pytest.mark.parametrize("script", FOUND.values(), ids=FOUND)
async def test_what_was_found_once_is_right(script: list[Step]) -> None:
    async with fresh() as store:
        driver = await Driver(store).begin()
        for step in script:
            await driver.take(step)

    assert len(driver.script) == len(script)


async def test_a_disagreement_says_what_is_wrong_and_how_to_show_it() -> None:
    script = [
        Open(lease="A"),
        Enqueue(jobs=(Plan(name="job"),)),
        Swap(lease="A", wants=Wants(limit=1, others=1)),
        Cancel(jobs=("job",), running=True),
        Swap(lease="A", settlements=(Ending(job="job", kind=Kind.RETRY),)),
        Wait(seconds=5),
    ]

    with pytest.raises(Disagreement) as caught:
        await run_script(LetsARetryWin.fresh, script)

    *lines, last = str(caught.value).splitlines()
    assert lines == [
        "cancel beats waiting, and is reported",
        "  step:  exchange of A: settle retry job; claim nothing",
        "  model: job/1",
        "  store: none",
        "The whole script:",
        "  1. open lease A for 60 s",
        "  2. enqueue job  -> job created",
        "  3. exchange of A: settle nothing; claim 1: 1 of others  -> job/1",
        "  4. cancel job, also if running  -> requested",
    ]
    assert last.startswith("  5. exchange of A: settle retry job; claim nothing  <- cancel beats")


def test_hypothesis_makes_a_script_short() -> None:
    with pytest.raises(Disagreement, match="cancel beats waiting") as caught:
        search(LetsARetryWin.fresh, examples=200, same=True)

    assert len(caught.value.script) == 5


async def test_an_error_of_a_store_is_no_answer() -> None:
    class Erring(LetsARetryWin):
        async def renew(self, lease: LeaseId, *, seconds: float) -> Renewal:
            raise RuntimeError("out of order")

    with pytest.raises(Disagreement, match="a store answers") as caught:
        await check_model(Erring.fresh)

    assert "RuntimeError: out of order" in str(caught.value)
    assert len(caught.value.script) == 1


async def test_what_a_store_lacks_is_left_out_and_named() -> None:
    report = await check_model(lambda: BareBackend().open(), scripts=10)

    assert report.lacks == ("SupportsBrowse", "SupportsKeys", "SupportsEventLog", "shift_clock")
    assert report.steps.keys().isdisjoint({"Look", "Revive", "ReleaseKeys", "Wait"})
    assert "without SupportsBrowse, SupportsKeys, SupportsEventLog, shift_clock" in str(report)


async def test_steps_are_dropped_and_simplified_as_long_as_a_script_fails() -> None:
    busy = Plan(name="b", queue="b", priority=5, key="k")
    script: list[Step] = [
        Open(lease="A", seconds=30),
        Enqueue(jobs=(Plan(name="a"), busy, Plan(name="c"))),
        *[Wait(seconds=seconds) for seconds in range(20)],
    ]

    async def fails(candidate: Sequence[Step]) -> bool:
        plans = [plan for step in candidate if isinstance(step, Enqueue) for plan in step.jobs]
        return any(plan.priority == 5 for plan in plans)

    assert await Shrinker(fails).shrink(script) == [Enqueue(jobs=(Plan(name="b", priority=5),))]


async def test_shrinking_is_bounded() -> None:
    tried = itertools.count()

    async def fails(candidate: Sequence[Step]) -> bool:
        next(tried)
        return len(candidate) > 50

    script: list[Step] = [Wait(seconds=seconds) for seconds in range(100)]
    await Shrinker(fails, tries=10).shrink(script)

    assert next(tried) == 10
