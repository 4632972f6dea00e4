"""Starting processes and looking at them, for tests that need real ones."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

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


class Command:
    """A process of the command ``worker``, and what it says."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def hear(self, part: str) -> str:
        """Return the next line with *part*, once it is said."""
        assert self.process.stdout is not None
        while True:
            line = await asyncio.wait_for(self.process.stdout.readline(), SOON)
            assert line, f"it ended without {part!r}: {self.lines}"
            self.lines.append(line.decode().rstrip())
            if part in self.lines[-1]:
                return self.lines[-1]

    async def end(self) -> int:
        """Return the exit code, once it has ended by itself."""
        assert self.process.stdout is not None
        rest = await asyncio.wait_for(self.process.stdout.read(), SOON)
        self.lines += rest.decode().splitlines()
        return await asyncio.wait_for(self.process.wait(), SOON)

    def said(self, part: str) -> int:
        """Return how many of the lines heard have *part*."""
        return sum(part in line for line in self.lines)

    def line(self, part: str) -> str:
        """Return the only line with *part*."""
        (found,) = [line for line in self.lines if part in line]
        return found


@asynccontextmanager
async def command(*arguments: str, **options: Any) -> AsyncIterator[Command]:
    """Start ``python -m litestar_queues_core worker``; at the end nothing of it is left.

    Args:
        arguments: What follows ``worker``.
        options: How to start the process.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "litestar_queues_core",
        "worker",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        **options,
    )
    try:
        yield Command(process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await asyncio.wait_for(process.communicate(), SOON)
