"""A worker: claims jobs and runs them until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any, Self

from litestar_queues_core._version import __version__
from litestar_queues_core.asking import ask
from litestar_queues_core.choices import open_executors
from litestar_queues_core.config import WorkerConfig, seconds
from litestar_queues_core.errors import ConfigError
from litestar_queues_core.immediate import IMMEDIATE
from litestar_queues_core.lanes import LOCAL
from litestar_queues_core.loop import run_forever
from litestar_queues_core.model import WorkerInfo
from litestar_queues_core.protocols import SupportsSignals
from litestar_queues_core.service import QueueService
from litestar_queues_core.worker.announcer import Announcer
from litestar_queues_core.worker.capacity import Capacity
from litestar_queues_core.worker.fetcher import Fetcher
from litestar_queues_core.worker.holdings import Holdings
from litestar_queues_core.worker.keeper import Lease, close_lease, keeper_of
from litestar_queues_core.worker.ladder import StopLadder
from litestar_queues_core.worker.maintenance import MaintenanceService
from litestar_queues_core.worker.runner import Runner
from litestar_queues_core.worker.transacting import Transacting
from litestar_queues_core.worker.watchdog import Watchdog

logger: logging.Logger = logging.getLogger("litestar_queues.worker")

LISTEN = 5.0
SIGNALLED_RESTS = (1.0, 5.0)
POLLED_RESTS = (0.01, 0.2)
HOUSEKEEPING = 0.5
SWITCH = 0.0005
"""Seconds after which the running thread gives way in a process of the worker's own.

At the interpreter's 5 ms, a store's thread waits up to that long after each of its steps while the
loop is busy: the embedded SQLite store was three times slower.
"""


class Worker:
    """Runs jobs while its ``async with`` block lasts, then stops by the ladder.

    Stopping: nothing new is claimed and what has not started is given back; running jobs have
    ``grace`` seconds; what then still runs is cancelled and released; the lease is closed.

    Args:
        service: An open service; several workers may share it.
        burst: Stop by itself once nothing is left to do now.
        only_executor: Take only jobs for this executor, and none that run in any worker.
        own_process: Whether this process exists for the worker alone, so that it may be
            ended if code that cannot be stopped would keep it.
        name: What the worker is called; by default host, process and a number.
        config: Instead of the service's ``WorkerConfig``.
        **overrides: Fields of ``WorkerConfig`` with other values.

    Attributes:
        name: What the worker is called.
        holdings: The jobs it holds now.
        stopped: Set once a stop was asked for, or a burst is over.
    """

    def __init__(
        self,
        service: QueueService,
        *,
        burst: bool = False,
        own_process: bool = False,
        only_executor: str | None = None,
        name: str | None = None,
        config: WorkerConfig | None = None,
        **overrides: Any,
    ) -> None:
        if not isinstance(service, QueueService):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"Worker() takes a QueueService, not {service!r}")
        base = config or service.config.worker
        try:
            self.config: WorkerConfig = replace(base, **overrides) if overrides else base
        except TypeError as error:
            raise ConfigError(f"{error}; a Worker takes the fields of WorkerConfig") from None
        self.service: QueueService = service
        self.name: str = name or _name()
        self.holdings: Holdings = Holdings()
        self.stopped: asyncio.Event = asyncio.Event()
        self._burst = burst
        self._own_process = own_process
        self._only = only_executor
        self._resources = AsyncExitStack()
        self._services: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self.service.check_loop()
        try:
            await self._prepare()
        except BaseException:
            await self._resources.aclose()
            raise
        self._begin()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def run(self) -> None:
        """Work until :meth:`request_stop` is called or the burst is over, then stop."""
        async with self:
            await self.stopped.wait()

    def request_stop(self) -> None:
        """Stop soon; each further call takes the ladder down one step faster."""
        if self.stopped.is_set():
            self._ladder.hurry()
        self.stopped.set()

    async def stop(self) -> None:
        """Go down the stop ladder; returns when nothing of this worker is left."""
        self.stopped.set()
        try:
            await self._ladder.descend()
            await self._close_lease()
        except BaseException:
            await self._runner.abandon()
            raise
        finally:
            for service in self._services:
                service.cancel()
            await asyncio.gather(*self._services, return_exceptions=True)
            await self._keeper.close()
            await self.service.announcements.drain()
            await self._resources.aclose()
            finished = self.holdings.finished
            jobs = "job" if finished == 1 else "jobs"
            logger.info("worker %s stopped; it ran %d %s", self.name, finished, jobs)

    async def _prepare(self) -> None:
        service, config = self.service, self.config
        executors = await open_executors(service, config, self._resources)
        events = service.config.event_config
        announcer = Announcer(
            service.publisher,
            worker=self.name,
            history=bool(events and events.enabled and events.history),
        )
        self._capacity = Capacity(
            concurrency=config.concurrency,
            queues=config.queues,
            limits=config.queue_concurrency,
            executors=frozenset(executors) - {LOCAL, IMMEDIATE}
            if self._only is None
            else frozenset({self._only}),
            local=self._only is None,
        )
        self._runner = Runner(
            service,
            config,
            self.holdings,
            announcer,
            executors,
            transacting=Transacting(service, self.holdings, announcer, lambda: self._lease),
            worker=self.name,
            may_start=lambda: self._lease.may_start,
        )
        if config.lifespan is not None:
            state = await self._resources.enter_async_context(config.lifespan(service))
            self._runner.open(state)
        else:
            self._runner.open(None)
        self._lease = Lease(service.store, self._info(), seconds(config.lease, "lease"))
        self._fetcher = Fetcher(
            service.store,
            self._lease,
            self.holdings,
            self._capacity,
            announcer,
            start=self._runner.start,
            rests=self._rests(),
        )
        watchdog = Watchdog(
            stall_limit=seconds(config.stall_limit, "stall_limit"), own_process=self._own_process
        )
        self._keeper = keeper_of(service.store, self._lease, self._fetcher, watchdog)
        self._maintenance = MaintenanceService(
            service.store,
            self._lease,
            service.announcements,
            service.config.retention,
            worker=self.name,
            history=events.history if events and events.enabled else None,
        )
        self._fetcher.next_due = self._maintenance.due_in
        self._ladder = StopLadder(
            self.holdings, self._fetcher, self._runner, grace=seconds(config.grace, "grace")
        )
        await self._lease.begin()

    def _begin(self) -> None:
        if self._own_process:
            sys.setswitchinterval(SWITCH)
        services = [
            run_forever(self._fetcher.poll, self.holdings.wake, name="fetcher"),
            run_forever(self._maintenance.poll, self._maintenance.wake, name="maintenance"),
            run_forever(self._housekeep, asyncio.Event(), name="housekeeping"),
            self._keeper.run(),
        ]
        if isinstance(self.service.store, SupportsSignals):
            store = self.service.store
            services += [
                run_forever(lambda: self._listen(store), asyncio.Event(), name="signals"),
                run_forever(lambda: self._heed(store), asyncio.Event(), name="cancel signals"),
            ]
        if self._burst:
            services.append(run_forever(self._end_burst, asyncio.Event(), name="burst"))
        self._services = [asyncio.create_task(service) for service in services]
        logger.info(
            "worker %s started: queues %s, concurrency %d, lease %g s",
            self.name,
            ", ".join(self.config.queues) or "all",
            self.config.concurrency,
            self._lease.seconds,
        )

    async def _listen(self, store: SupportsSignals) -> float:
        if await ask(store.wait(self._capacity.topics, LISTEN), deadline=LISTEN + 5):
            self._fetcher.hint()
        return 0.0

    async def _heed(self, store: SupportsSignals) -> float:
        if await ask(store.wait([f"lease:{self._lease.id}"], LISTEN), deadline=LISTEN + 5):
            self._keeper.poke()
        return 0.0

    async def _housekeep(self) -> float:
        self._fetcher.give_back()
        config = self.config
        if self.stopped.is_set():
            return HOUSEKEEPING
        if config.max_jobs is not None and self.holdings.finished >= config.max_jobs:
            logger.info("worker %s has run %d jobs and makes room", self.name, config.max_jobs)
            self.stopped.set()
        elif config.max_memory is not None and memory_mib() > config.max_memory:
            logger.info("worker %s holds over %d MiB and makes room", self.name, config.max_memory)
            self.stopped.set()
        return HOUSEKEEPING

    async def _end_burst(self) -> float:
        """Stop once a look for work after all maintenance has found nothing."""
        while await self._maintenance.work():
            pass
        taken = self.holdings.taken
        dry = self._fetcher.dry = asyncio.Event()
        self._fetcher.hint()
        await dry.wait()
        if self.holdings.taken == taken:
            self.stopped.set()
        return 0.0

    async def _close_lease(self) -> None:
        if not self.holdings.running:
            await close_lease(self.service.store, self._lease)
        elif self._own_process:
            logger.error("%d jobs cannot be stopped; leaving", len(self.holdings.running))
            self._keeper.close_lease_and_exit(1)
        else:
            logger.error(
                "%d jobs run in threads that cannot be stopped; they are rescued within %g s",
                len(self.holdings.running),
                self._lease.seconds,
            )

    def _rests(self) -> tuple[float, float]:
        interval = self.config.poll_interval
        if interval is not None:
            rest = seconds(interval, "poll_interval")
            return (rest, rest)
        signalled = isinstance(self.service.store, SupportsSignals)
        return SIGNALLED_RESTS if signalled else POLLED_RESTS

    def _info(self) -> WorkerInfo:
        return WorkerInfo(
            name=self.name,
            host=socket.gethostname(),
            pid=os.getpid(),
            queues=tuple(self.config.queues),
            version=__version__,
        )


_numbers = iter(range(1, 1_000_000_000))


def _name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{next(_numbers)}"


def memory_mib() -> float:
    """Return how much memory this process holds, in MiB; where nothing tells, its most so far."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except (OSError, AttributeError):
        return most_memory_mib()


def most_memory_mib() -> float:
    """Return how much memory this process has held at most, in MiB."""
    import resource  # noqa: PLC0415  (not on Windows)

    unit = 2**20 if sys.platform == "darwin" else 2**10  # macOS counts bytes, others KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
