"""Making a script shorter that shows a disagreement."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import MISSING, fields, replace
from typing import Any, cast

from litestar_queues_core.settlements import Wants
from litestar_queues_core.testing.model.steps import Ending, Plan, Step

PLAIN = Wants(limit=10, others=10, suspects=1)
"""What claims whatever there is."""

Fails = Callable[[Sequence[Step]], Awaitable[bool]]
"""Whether a script still shows the disagreement."""


class _Exhausted(Exception):
    """No more tries are allowed."""


class Shrinker:
    """Drops steps and simplifies those that stay, as long as the script still fails.

    Args:
        fails: Tries a script on a new store.
        tries: How often, at most.
    """

    def __init__(self, fails: Fails, *, tries: int = 1000) -> None:
        self._fails = fails
        self._tries = tries
        self._best: list[Step] = []
        self._known: set[str] = set()

    async def shrink(self, script: Sequence[Step]) -> list[Step]:
        """Return a script that fails still, from which nothing can be dropped."""
        self._best, self._known = list(script), {repr(list(script))}
        with suppress(_Exhausted):
            while await self._drop() or await self._simplify():
                pass
        return self._best

    async def _drop(self) -> bool:
        """Leave out what can be left out, first many steps at once; whether any could."""
        before = len(self._best)
        size = before // 2
        while size:
            for start in range(len(self._best) - size, -1, -size):
                await self._try(self._best[:start] + self._best[start + size :])
            size //= 2
        return len(self._best) < before

    async def _simplify(self) -> bool:
        """Make each step as simple as it can be; whether any could be made simpler."""
        before = list(self._best)
        for place in range(len(self._best)):
            while await self._simplify_one(place):
                pass
        return self._best != before

    async def _simplify_one(self, place: int) -> bool:
        best = self._best
        for simple in _variants(best[place]):
            if await self._try([*best[:place], simple, *best[place + 1 :]]):
                return True
        return False

    async def _try(self, script: list[Step]) -> bool:
        """Take a script for the best if it fails too; none is tried twice."""
        if repr(script) in self._known:
            return False
        self._known.add(repr(script))
        if self._tries <= 0:
            raise _Exhausted
        self._tries -= 1
        if await self._fails(script):
            self._best = script
            return True
        return False


def _variants(thing: Any) -> Iterator[Any]:
    """Yield a step, plan or settlement with a default here, or an element less there."""
    changed = {
        one.name: one.default
        for one in fields(thing)
        if one.default not in (MISSING, getattr(thing, one.name))
    }
    if len(changed) > 1:
        yield replace(thing, **changed)
    for name, default in changed.items():
        yield replace(thing, **{name: default})
    for one in fields(thing):
        value = getattr(thing, one.name)
        for simple in _simpler_values(value):
            if simple not in (value, one.default):
                yield replace(thing, **{one.name: simple})


def _simpler_values(value: object) -> Iterator[object]:
    if isinstance(value, Wants):
        yield PLAIN
    if isinstance(value, tuple):
        items = cast(tuple[object, ...], value)
        for place, item in enumerate(items):
            before, after = items[:place], items[place + 1 :]
            yield before + after
            if isinstance(item, Plan | Ending):
                yield from ((*before, simple, *after) for simple in _variants(item))
