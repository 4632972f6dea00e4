"""What the worker and producer processes of a run have in common."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from gc import get_referents
from pathlib import Path
from types import AsyncGeneratorType, CoroutineType, FrameType
from typing import Any

from litestar_queues_core.errors import QueueError
from litestar_queues_core.exits import exit_code
from litestar_queues_core.lifeline import die_with_parent
from litestar_queues_core.logs import log_plainly
from litestar_queues_core.testing.chaos.notes import Notebook
from litestar_queues_core.testing.chaos.settings import Settings, read_settings
from litestar_queues_core.testing.chaos.targets import ChaosTarget
from litestar_queues_core.testing.chaos.work import notes_of

LIFELINE = "LITESTAR_QUEUES_CHAOS_FD"
TELL = signal.SIGUSR2
"""Lets a process write into its log what each of its tasks waits for."""

Part = Callable[[Settings, ChaosTarget, Notebook], Awaitable[None]]


def play(part: Part) -> int:
    """Take part in a run, and return an exit code.

    The program is given the workspace and a seed of its own.  If the runner is gone, this process
    is killed.
    """
    die_with_parent(int(os.environ.pop(LIFELINE)))
    log_plainly("WARNING")
    workspace = Path(sys.argv[1])
    settings, target = read_settings(workspace)
    settings.seed = int(sys.argv[2])
    notebook = Notebook(notes_of(workspace))

    async def main() -> None:
        asyncio.get_running_loop().add_signal_handler(TELL, _tell)
        await part(settings, target, notebook)

    try:
        asyncio.run(main())
    except QueueError as error:
        sys.stderr.write(f"error: {type(error).__name__}: {error}\n")
        return exit_code(error)
    return 0


def _tell() -> None:
    for task in asyncio.all_tasks():
        sys.stderr.write(f"{task!r}\n")
        for frame in _waits(task.get_coro()):
            code = frame.f_code
            sys.stderr.write(f"    in {code.co_name}, {code.co_filename}:{frame.f_lineno}\n")
    sys.stderr.flush()


def _waits(coroutine: Any) -> Iterator[FrameType]:
    """Give the frames in which a task waits, from the outermost."""
    awaited = coroutine
    while awaited is not None:
        if isinstance(awaited, AsyncGeneratorType):
            frame, inner = awaited.ag_frame, awaited.ag_await
        elif isinstance(awaited, CoroutineType):
            frame, inner = awaited.cr_frame, awaited.cr_await
        else:  # a step of an asynchronous generator, or what nobody looks into
            steps = (AsyncGeneratorType,)
            frame, inner = None, next((x for x in get_referents(awaited) if type(x) in steps), None)
        if frame is not None:
            yield frame
        awaited = inner
