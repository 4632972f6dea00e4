"""Looking at processes, for tests that start some."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

SOON = 20.0


def is_dead(pid: int) -> bool:
    """Return whether a process has ended, though perhaps nobody has asked how."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    return False


def is_reaped(pid: int) -> bool:
    """Return whether no child of this process has that id, not even a dead one."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return True
    return False


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that no event tells."""
    async with asyncio.timeout(SOON):
        while not condition():
            await asyncio.sleep(0.01)
