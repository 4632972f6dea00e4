"""Stores driven by Hypothesis and held against the model, and scripts that once found something."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TypeVar

from hypothesis import HealthCheck, Phase, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from litestar_queues_core.settlements import Kind, Wants
from litestar_queues_core.testing.model import (
    Chooser,
    Disagreement,
    Driver,
    RandomChoices,
    shortest,
)
from litestar_queues_core.testing.model.checking import Fresh
from litestar_queues_core.testing.model.steps import (
    Cancel,
    Ending,
    Enqueue,
    Maintain,
    Open,
    Plan,
    Revive,
    Step,
    Swap,
    Wait,
)

T = TypeVar("T")

EVERYTHING = Wants(limit=10, others=10, suspects=1)

FOUND: dict[str, list[Step]] = {
    "a key until an instant is not held longer because its job is revived": [
        Enqueue(jobs=(Plan(name="first", key="k", until=90),)),
        Wait(seconds=25),
        Cancel(jobs=("first",)),
        Revive(jobs=("first",)),
        Wait(seconds=80),
        Enqueue(jobs=(Plan(name="second", key="k"),)),
    ],
    "a revived job was never put back": [
        Open(lease="A"),
        Enqueue(jobs=(Plan(name="job"),)),
        Swap(lease="A", wants=EVERYTHING),
        Swap(lease="A", settlements=(Ending(job="job", kind=Kind.PUT_BACK),)),
        Cancel(jobs=("job",)),
        Revive(jobs=("job",)),
    ],
    "what expires in one call of maintain need not be pruned in the same": [
        Enqueue(jobs=(Plan(name="early"), Plan(name="late", expires=60))),
        Cancel(jobs=("early",)),
        Wait(seconds=70),
        Maintain(max_finished=0),
        Maintain(max_finished=0),
    ],
}
"""Scripts that once showed a disagreement: of a store with the model, or of two stores."""


class StoreMachine(RuleBasedStateMachine):
    """Takes steps with a new store until the model disagrees.

    Args:
        fresh: Opens a new store.
    """

    def __init__(self, fresh: Fresh) -> None:
        super().__init__()
        self._fresh = fresh
        self._runner = asyncio.Runner()
        self._open = AsyncExitStack()
        self._choices = RandomChoices(0)
        self._steps: list[Step] = []
        self._driver = self._runner.run(self._begin())
        self._chooser = Chooser(self._choices, self._driver)

    async def _begin(self) -> Driver:
        store = await self._open.enter_async_context(self._fresh())
        return await Driver(store).begin()

    @rule(seed=st.integers(0, 2**64))
    def take_a_step(self, seed: int) -> None:
        self._choices.reseed(seed)
        step = self._chooser.step()
        self._steps.append(step)
        try:
            self._runner.run(self._driver.take(step))
        except Disagreement as error:
            raise self._runner.run(shortest(self._fresh, self._steps, error)) from None

    def teardown(self) -> None:
        self._runner.run(self._open.aclose())
        self._runner.close()


def search(fresh: Fresh, *, examples: int, steps: int = 40, same: bool = False) -> None:
    """Let Hypothesis look for a script that shows a disagreement.

    Our own shrinker knows what steps are, so it makes scripts shorter, and a hundred times faster.

    Args:
        fresh: Opens a new store.
        examples: How many scripts are tried.
        steps: How long they are.
        same: Whether each run tries the same ones, and none is kept for the next run.
    """

    run_state_machine_as_test(
        lambda: StoreMachine(fresh),  # pyright: ignore[reportArgumentType]  (any factory does)
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            phases=(Phase.explicit, Phase.reuse, Phase.generate),
            report_multiple_bugs=False,
            derandomize=same,
            database=None if same else settings().database,
            suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
        ),
    )
