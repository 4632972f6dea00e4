"""A producer process of a run."""

from __future__ import annotations

import asyncio
import logging
import random
import signal

from litestar_queues_core.errors import EnqueueUnknown, StoreUnavailable
from litestar_queues_core.loop import rest_until
from litestar_queues_core.protocols import SupportsKeys
from litestar_queues_core.service import QueueService
from litestar_queues_core.testing.chaos.child import play
from litestar_queues_core.testing.chaos.ledger import ChangedMindError, order
from litestar_queues_core.testing.chaos.notes import Notebook, What
from litestar_queues_core.testing.chaos.settings import Settings
from litestar_queues_core.testing.chaos.targets import ChaosTarget, SupportsLedger
from litestar_queues_core.testing.chaos.work import Request, make_service, work

logger = logging.getLogger("litestar_queues.chaos")

AT_ONCE = 50
ORDERS = 0.3
"""How many of the jobs are enqueued with data of an application, where there is one."""
KEPT = 0.8


class Producer:
    """Enqueues jobs at a steady rate, at most so many at once, and notes the answers."""

    def __init__(
        self, service: QueueService, settings: Settings, target: ChaosTarget, notebook: Notebook
    ) -> None:
        self._service = service
        self._ledger = target if isinstance(target, SupportsLedger) else None
        self._settings = settings
        self._notebook = notebook
        self._keys = isinstance(service.store, SupportsKeys)
        self._rng = random.Random(settings.seed)  # noqa: S311
        self._free = asyncio.Semaphore(AT_ONCE)

    async def run(self, stopped: asyncio.Event) -> None:
        """Enqueue until *stopped*, and wait for all answers."""
        rest = self._settings.producers / self._settings.jobs_per_second
        async with asyncio.TaskGroup() as group:
            while not stopped.is_set():
                await self._free.acquire()
                ledger = self._ledger if self._rng.random() < ORDERS else None
                group.create_task(self._enqueue() if ledger is None else self._order(ledger))
                await rest_until(stopped, rest * self._rng.uniform(0.5, 1.5))

    async def _enqueue(self) -> None:
        request = Request(self._rng, lease=self._settings.lease, keys=self._keys)
        call = work.using(**request.options)
        try:
            result = await self._service.enqueue(call, request.behaviour, request.seconds)
        except EnqueueUnknown as error:
            self._notebook.note(What.UNKNOWN, error.id)
        except StoreUnavailable as error:
            logger.warning("refused: %s", error)
        else:
            key = request.options.get("key", "")
            self._notebook.note(What.ACKNOWLEDGED, result.id, detail=key)
        finally:
            self._free.release()

    async def _order(self, ledger: SupportsLedger) -> None:
        seconds, keep = self._rng.uniform(0.0, 0.3), self._rng.random() < KEPT
        try:
            job = await order(ledger, self._service, seconds, keep=keep)
        except ChangedMindError:
            return
        except Exception as error:  # noqa: BLE001  (also the driver's: the ledger will tell)
            logger.warning("order: %s: %s", type(error).__name__, error)
        else:
            self._notebook.note(What.ACKNOWLEDGED, job)
        finally:
            self._free.release()


async def run(settings: Settings, target: ChaosTarget, notebook: Notebook) -> None:
    """Enqueue until told to stop."""
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with make_service(target, notebook) as service:
        await Producer(service, settings, target, notebook).run(stopped)


if __name__ == "__main__":
    raise SystemExit(play(run))
