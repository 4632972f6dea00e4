"""The one loop shape: a service is a ``poll()`` that does one round and returns its rest."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from litestar_queues_core.asking import pause
from litestar_queues_core.errors import StoreUnavailable

logger: logging.Logger = logging.getLogger("litestar_queues.worker")


def now() -> float:
    """Return the time of the running loop: what this process measures all waits and ages by."""
    return asyncio.get_running_loop().time()


async def run_forever(
    poll: Callable[[], Awaitable[float]], wake: asyncio.Event, *, name: str
) -> None:
    """Poll until cancelled.

    A failing round is logged and tried again after a pause that grows to two seconds: no fault
    ends a service.

    Args:
        poll: Does one round and returns the seconds to rest.
        wake: Ends a rest early; it is cleared before the next round.
        name: What the service is called in the log.
    """
    failures, rest = 0, 0.0
    while True:
        try:
            rest = await poll()
            failures = 0
        except StoreUnavailable as error:
            failures += 1
            logger.warning("%s: %s; trying again", name, error)
        except Exception:
            failures += 1
            logger.exception("%s failed; trying again", name)
        if failures:
            await asyncio.sleep(pause(failures))
        elif rest > 0 and not wake.is_set():
            await rest_until(wake, rest)
        else:
            await asyncio.sleep(0)
        wake.clear()


async def rest_until(wake: asyncio.Event, seconds: float) -> bool:
    """Rest at most *seconds*; return whether *wake* ended it early."""
    try:
        async with asyncio.timeout(seconds):
            return await wake.wait()
    except TimeoutError:
        return False
