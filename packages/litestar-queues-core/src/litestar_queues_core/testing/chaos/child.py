"""What the worker and producer processes of a run have in common."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from litestar_queues_core.errors import QueueError
from litestar_queues_core.exits import exit_code
from litestar_queues_core.lifeline import die_with_parent
from litestar_queues_core.logs import log_plainly
from litestar_queues_core.testing.chaos.notes import Notebook
from litestar_queues_core.testing.chaos.settings import Settings, read_settings
from litestar_queues_core.testing.chaos.targets import ChaosTarget
from litestar_queues_core.testing.chaos.work import notes_of

LIFELINE = "LITESTAR_QUEUES_CHAOS_FD"

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
        await part(settings, target, notebook)

    try:
        asyncio.run(main())
    except QueueError as error:
        sys.stderr.write(f"error: {type(error).__name__}: {error}\n")
        return exit_code(error)
    return 0
