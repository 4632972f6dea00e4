"""The model check that needs nothing but the standard library."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

from litestar_queues_core.protocols import Store
from litestar_queues_core.testing.model.choosing import Chooser, RandomChoices
from litestar_queues_core.testing.model.disagreement import Disagreement
from litestar_queues_core.testing.model.driver import Driver
from litestar_queues_core.testing.model.shrinking import Shrinker
from litestar_queues_core.testing.model.steps import Step

Fresh = Callable[[], AbstractAsyncContextManager[Store]]
"""Opens a store that is empty, another one each time."""


@dataclass(slots=True, kw_only=True)
class ModelReport:
    """What a model check has done.

    Attributes:
        scripts: How many scripts agreed with the model from beginning to end.
        steps: How many steps of each kind were taken.
        lacks: Abilities that the store lacks; the steps that need them were left out.
        seconds: How long it took.
    """

    scripts: int = 0
    steps: Counter[str] = field(default_factory=Counter[str])
    lacks: tuple[str, ...] = ()
    seconds: float = 0.0

    def __str__(self) -> str:
        number = self.steps.total()
        lacks = f"; without {', '.join(self.lacks)}" if self.lacks else ""
        rate = number / self.seconds * 60 if self.seconds else 0
        return f"{number} steps of {self.scripts} scripts agree, {rate:.0f} a minute{lacks}"


async def check_model(
    fresh: Fresh, *, seed: int | str = 0, scripts: int = 20, steps: int = 60, shrink: bool = True
) -> ModelReport:
    """Drive a store with random scripts, and hold each answer against the model.

    Args:
        fresh: Opens an empty store, another one each time; it is called once per script, and
            some hundred times more to make a script short that shows a disagreement.
        seed: Decides every script; the same seed gives the same scripts.
        scripts: How many.
        steps: How long each is.
        shrink: Whether to make a failing script short before it is shown.

    Raises:
        Disagreement: The store broke a promise; the message holds the shortest script found.
    """
    report, began = ModelReport(), time.monotonic()
    for number in range(scripts):
        taken: list[Step] = []
        try:
            await _explore(fresh, f"{seed}/{number}", steps, report, taken)
        except Disagreement as error:
            raise (await shortest(fresh, taken, error) if shrink else error) from None
        report.scripts += 1
    report.seconds = time.monotonic() - began
    return report


async def _explore(
    fresh: Fresh, seed: str, number: int, report: ModelReport, taken: list[Step]
) -> None:
    """Take steps as they are chosen, and note them in *taken*."""
    async with fresh() as store:
        driver = await Driver(store).begin()
        chooser = Chooser(RandomChoices(seed), driver)
        report.lacks = chooser.lacks
        for _ in range(number):
            step = chooser.step()
            taken.append(step)
            await driver.take(step)
            report.steps[type(step).__name__] += 1


async def run_script(fresh: Fresh, script: Sequence[Step]) -> None:
    """Take the steps of a script with an empty store.

    Raises:
        Disagreement: The store broke a promise.
    """
    async with fresh() as store:
        driver = await Driver(store).begin()
        for step in script:
            await driver.take(step)


async def shortest(
    fresh: Fresh, script: Sequence[Step], error: Disagreement, *, tries: int = 1000
) -> Disagreement:
    """Return the same disagreement, shown by as short a script as can be found."""
    best = error

    async def fails(candidate: Sequence[Step]) -> bool:
        nonlocal best
        try:
            await run_script(fresh, candidate)
        except Disagreement as found:
            same = found.promise.partition(":")[0] == error.promise.partition(":")[0]
            best = found if same else best
            return same
        return False

    await Shrinker(fails, tries=tries).shrink(script)
    return best
