"""A worker process of a run."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

from litestar_queues_core.service import QueueService
from litestar_queues_core.testing.chaos.child import play
from litestar_queues_core.testing.chaos.notes import Notebook, What
from litestar_queues_core.testing.chaos.settings import Settings
from litestar_queues_core.testing.chaos.targets import ChaosTarget
from litestar_queues_core.testing.chaos.work import make_service
from litestar_queues_core.worker.standalone import run_worker

NAME = "chaos-"
BLOCK = signal.SIGUSR1
GRACE = 5.0
BLOCKED = 1.5
"""The signal blocks the event loop for so many leases."""


async def run(settings: Settings, target: ChaosTarget, notebook: Notebook) -> None:
    """Run jobs until told to stop."""
    asyncio.get_running_loop().add_signal_handler(BLOCK, time.sleep, BLOCKED * settings.lease)

    @asynccontextmanager
    async def lifespan(service: QueueService) -> AsyncGenerator[Notebook]:
        notebook.note(What.READY)
        yield notebook

    service = make_service(target, notebook)
    service.config.worker = replace(
        service.config.worker,
        lease=settings.lease,
        concurrency=settings.concurrency,
        grace=GRACE,
        lifespan=lifespan,
    )
    async with service:
        await run_worker(service, name=f"{NAME}{os.getpid()}")


if __name__ == "__main__":
    raise SystemExit(play(run))
