"""A worker in a process of its own."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

from litestar_queues_core.choices import backend_of
from litestar_queues_core.config import QueueConfig
from litestar_queues_core.errors import ConfigError
from litestar_queues_core.service import QueueService
from litestar_queues_core.stores.memory import MemoryBackendConfig
from litestar_queues_core.worker.supervisor import watch_parent
from litestar_queues_core.worker.worker import Worker

logger: logging.Logger = logging.getLogger("litestar_queues.worker")

YOUNG = 10_000
"""How many new objects there are before the garbage collector looks at them."""
DEFAULTS = {700, 2000}
"""What interpreters have instead, unless somebody has chosen another number."""
SIGNALS = (signal.SIGTERM, signal.SIGINT)


async def run_worker(
    service: QueueService, *, burst: bool = False, name: str | None = None, **overrides: Any
) -> None:
    """Run a worker in this process, which exists for nothing else, until it is told to stop.

    The first SIGTERM or SIGINT lets running jobs finish for ``grace``, each further one takes
    a step of the stop ladder at once.  Under a supervisor only a SIGINT means haste, because a
    process manager may send SIGTERM to the supervisor and to its children.

    Must be called on the main thread.  If code that cannot be stopped is left at the end, the
    process exits with code 1 instead of returning.

    Args:
        service: An open service.
        burst: Return once nothing is left to do now.
        name: What the worker is called.
        **overrides: Fields of ``WorkerConfig`` with other values.

    Raises:
        ConfigError: The service keeps its jobs in memory, or an override is wrong.
    """
    refuse_memory(service.config)
    worker = Worker(service, burst=burst, own_process=True, name=name, **overrides)
    stopping = _Stopping(worker, supervised=watch_parent())
    with stopping.by_signals():
        try:
            async with worker:
                stopping.begun = True
                _spare_collector()
                await worker.stopped.wait()
        except asyncio.CancelledError:
            if not stopping.gave_up:
                raise
            stopping.task.uncancel()


def _spare_collector() -> None:
    """Let the garbage collector leave alone what lives as long as the process, and come rarely.

    In an application with 140,000 objects the first saves a quarter of the CPU of small jobs.  The
    second saves a fifth on CPython 3.11: by default it looks at every job that is held again and
    again, since the batches of a worker are larger than its 700 new objects.
    """
    gc.collect()
    gc.freeze()
    young, *older = gc.get_threshold()
    if young in DEFAULTS:
        gc.set_threshold(YOUNG, *older)


def refuse_memory(config: QueueConfig) -> None:
    """Check that another process than this one can see the jobs.

    Raises:
        ConfigError: It cannot.
    """
    if isinstance(backend_of(config), MemoryBackendConfig):
        raise ConfigError(
            "An external worker refuses the memory store: its jobs are seen by the process that "
            "enqueued them and by no other. Give QueueConfig.queue_backend a store that "
            "processes share, for example SQLiteBackendConfig(path=...), or run the worker in "
            "the process that enqueues: async with Worker(service)"
        )


class _Stopping:
    """What signals do to a worker."""

    def __init__(self, worker: Worker, *, supervised: bool) -> None:
        self._worker = worker
        self._supervised = supervised
        self.task = cast("asyncio.Task[None]", asyncio.current_task())
        self.begun = False
        self._told = False
        self.gave_up = False

    @contextmanager
    def by_signals(self) -> Generator[None]:
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._heed, number)
        try:
            yield
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)

    def _heed(self, number: signal.Signals) -> None:
        if not self.begun:
            self._give_up()
        elif not self._told:
            self._told = True
            grace = self._worker.config.grace
            logger.info("told to stop by %s; running jobs have %g s", number.name, grace)
            if not self._worker.stopped.is_set():
                self._worker.request_stop()
        elif not self._supervised or number == signal.SIGINT:
            logger.info("told to stop by %s again; making haste", number.name)
            self._worker.request_stop()

    def _give_up(self) -> None:
        """The worker has not started yet, and perhaps cannot: its store may be unreachable."""
        if not self.gave_up:
            logger.info("told to stop before the worker had started")
            self.gave_up = True
            self.task.cancel()
