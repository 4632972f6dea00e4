"""What simulated jobs do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from litestar_queues_core.context import TaskExecutionContext
from litestar_queues_core.control import Cancel, Discard, Snooze
from litestar_queues_core.options import check_task_options
from litestar_queues_core.registry import Registry
from litestar_queues_core.retry import RetryPolicy
from litestar_queues_core.task import AsyncTask

Behaviour = Callable[[TaskExecutionContext, float], Awaitable[None]]

RETRIES = 2


class ExpectedError(Exception):
    """What a job raises that is meant to fail."""


async def quick(context: TaskExecutionContext, seconds: float) -> None:
    """Wait a little."""
    await asyncio.sleep(seconds / 10)


async def at_once(context: TaskExecutionContext, seconds: float) -> None:
    """Wait for nothing at all."""


async def long(context: TaskExecutionContext, seconds: float) -> None:
    """Wait for longer than a lease lasts."""
    await asyncio.sleep(3 + seconds * 12)


async def flaky(context: TaskExecutionContext, seconds: float) -> None:
    """Fail once."""
    await asyncio.sleep(seconds / 10)
    if context.attempt == 1:
        raise ExpectedError("the first attempt")


async def failing(context: TaskExecutionContext, seconds: float) -> None:
    """Fail each time."""
    await asyncio.sleep(seconds / 10)
    raise ExpectedError("each attempt")


async def snoozing(context: TaskExecutionContext, seconds: float) -> None:
    """Come back twice."""
    if context.job.snoozes < 2:
        raise Snooze(seconds)


async def cancelling(context: TaskExecutionContext, seconds: float) -> None:
    """Cancel the job from within."""
    raise Cancel


async def discarding(context: TaskExecutionContext, seconds: float) -> None:
    """Give the job up."""
    raise Discard("of no use")


async def stubborn(context: TaskExecutionContext, seconds: float) -> None:
    """Go on after the first interruption."""
    for _ in range(2):
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            continue


async def overdue(context: TaskExecutionContext, seconds: float) -> None:
    """Take longer than the timeout allows."""
    await asyncio.sleep(1000)


async def talking(context: TaskExecutionContext, seconds: float) -> None:
    """Report progress."""
    for number in range(3):
        await context.progress(number, 3)
        await asyncio.sleep(seconds / 10)


async def parenting(context: TaskExecutionContext, seconds: float) -> None:
    """Enqueue another job, once however often this one runs."""
    await context.service.enqueue(simulated, "quick", seconds, key=f"child-of-{context.id}")


async def exiting(context: TaskExecutionContext, seconds: float) -> None:
    """Try to end the worker."""
    raise SystemExit(1)


BEHAVIOURS: dict[str, Behaviour] = {
    one.__name__: one
    for one in (
        at_once,
        cancelling,
        discarding,
        exiting,
        failing,
        flaky,
        long,
        overdue,
        parenting,
        quick,
        snoozing,
        stubborn,
        talking,
    )
}
MUST_COMPLETE = ("at_once", "flaky", "long", "parenting", "quick", "snoozing", "talking")
"""Those that complete, unless they are cancelled or their workers die too often."""


async def _simulated(behaviour: str, seconds: float, _task_context: TaskExecutionContext) -> str:
    referee = _task_context.state
    with referee.watching(_task_context, behaviour):
        await BEHAVIOURS[behaviour](_task_context, seconds)
    return behaviour


simulated: AsyncTask[..., str] = AsyncTask(
    _simulated,
    "simulated",
    check_task_options({"retries": RETRIES, "retry_policy": RetryPolicy(first=0.2, ceiling=1.0)}),
)
registry = Registry()
registry.add(simulated)


def options_of(behaviour: str) -> dict[str, Any]:
    """Return the options that jobs of this behaviour need."""
    return {"timeout": 0.5} if behaviour == "overdue" else {}
