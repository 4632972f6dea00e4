"""One history: what happens to a few processes and jobs, all of it following from a seed."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, cast

from litestar_queues_core.config import QueueConfig, QueueEventConfig, WorkerConfig
from litestar_queues_core.errors import QueueError
from litestar_queues_core.model import Job, Status
from litestar_queues_core.protocols import BackendConfig
from litestar_queues_core.service import QueueService
from litestar_queues_core.stores.memory import MemoryBackendConfig
from litestar_queues_core.testing.simulation.behaviours import (
    BEHAVIOURS,
    MUST_COMPLETE,
    RETRIES,
    options_of,
    registry,
    simulated,
)
from litestar_queues_core.testing.simulation.loop import Stuck, VirtualLoop, reproducible
from litestar_queues_core.testing.simulation.network import Network, Reach, Weather
from litestar_queues_core.testing.simulation.process import Process
from litestar_queues_core.testing.simulation.referee import Referee, Violation
from litestar_queues_core.worker import Worker

LEASE = 3.0
ACTIVE = 6.0
PATIENCE = 300.0
QUEUES = ("default", "mail")


class History:
    """Runs one history.

    Args:
        seed: What everything follows from.
        backend: The store it runs on; a new memory store by default.

    Attributes:
        referee: What it has seen.
        network: The way to the store, with its faults.
        ended: How many virtual seconds it took.
    """

    def __init__(self, seed: int, backend: BackendConfig | None = None) -> None:
        self.seed = seed
        self.chance = random.Random(seed)  # noqa: S311
        self.referee = Referee()
        self.ended = 0.0
        self._backend = backend or MemoryBackendConfig()
        self._processes: list[Process] = []
        self._workers: dict[Process, Worker] = {}
        self._stops: dict[Process, asyncio.Event] = {}
        self._producers: list[asyncio.Task[Any]] = []
        self._pinned: set[asyncio.Task[Any]] = set()

    def run(self) -> None:
        """Live it through.

        Raises:
            Violation: A promise was broken.
        """
        self.loop = VirtualLoop()
        self.loop.set_exception_handler(self._unhandled)
        try:
            with reproducible(self.loop, self.seed):
                self._run()
        finally:
            self.ended = self.loop.time()
            _bury(self.loop)

    def _run(self) -> None:
        try:
            self.loop.run_until_complete(self._live())
        except Stuck as error:
            raise self.referee.objection or Violation(str(error)) from error
        except RuntimeError:
            if self.referee.objection is None:
                raise
        if self.referee.objection is not None:
            raise self.referee.objection

    def _unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.referee.protest(f"unhandled: {context.get('exception') or context['message']!r}")

    async def _live(self) -> None:
        async with self._backend.open() as store:
            self.network = Network(store, self.referee, self.chance)
            self.network.weather = self._draw_weather()
            for _ in range(self.chance.randint(1, 3)):
                self._start_worker()
            for number in range(self.chance.randint(1, 2)):
                process = Process(f"producer {number}")
                self._producers.append(process.spawn(self._produce(process)))
            await self._strike_until(ACTIVE)
            await self._calm_down()
            await self._settle_down()

    def _draw_weather(self) -> Weather:
        """Half of all histories have a network with faults of its own."""
        if self.chance.random() < 0.5:
            return Weather()
        rate = self.chance.choice((0.02, 0.1, 0.3))
        slow, refused, cut, silent = (self.chance.random() * rate for _ in range(4))
        return Weather(slow, refused, cut, silent, self.chance.choice((0.05, 0.5, 2.0)))

    # Those who take part.

    def _start_worker(self) -> None:
        skew = self.chance.choice((0.0, 0.0, -3600.0, 3600.0))
        process = Process(f"worker {len(self._processes)}", skew)
        self._processes.append(process)
        self._stops[process] = asyncio.Event()
        process.spawn(self._work(process)).add_done_callback(self._ended)

    async def _work(self, process: Process) -> None:
        worker = WorkerConfig(
            concurrency=self.chance.randint(1, 5),
            lease=LEASE,
            grace=self.chance.choice((0.0, 0.5, 5.0)),
            lifespan=self._lifespan,
        )
        async with QueueService(self._config(process, worker), registry=registry) as service:
            async with Worker(service, name=process.name) as self._workers[process]:
                await self._stops[process].wait()
            process.ended = True
            self.referee.tell(process, "has stopped")
            held = list(self._workers[process].holdings.held)
            undisturbed = self.network.undisturbed and not process.froze
            self.referee.expect(
                not held or not undisturbed, f"{process} has stopped and holds {held}"
            )

    def _ended(self, worker: asyncio.Task[None]) -> None:
        if error := worker.exception():
            self.referee.protest(f"a worker has crashed: {error!r}")

    @asynccontextmanager
    async def _lifespan(self, service: QueueService) -> AsyncGenerator[Referee]:
        yield self.referee

    def _config(self, process: Process, worker: WorkerConfig | None = None) -> QueueConfig:
        return QueueConfig(
            queue_backend=Reach(self.network, process),
            worker=worker or WorkerConfig(),
            event_config=QueueEventConfig(enabled=True, sink=self.referee),
        )

    async def _produce(self, process: Process) -> None:
        async with QueueService(self._config(process), registry=registry) as service:
            for _ in range(self.chance.randint(2, 6)):
                await asyncio.sleep(self.chance.random())
                with suppress(QueueError):
                    await self._produce_some(service)

    async def _produce_some(self, service: QueueService) -> None:
        what = self.chance.random()
        if what < 0.6:
            results = [await service.enqueue(*self._call())]
        elif what < 0.85:
            size = self.chance.choice((1, 2, 5, 5, 20))
            calls = [self._call() for _ in range(size)]
            results = await service.enqueue_many(
                [task.call(*arguments) for task, *arguments in calls]
            )
        else:
            return await self._interfere(service)
        for result in results:
            if result.created:
                self.referee.cases[result.id].acknowledged = True
        return None

    def _call(self) -> tuple[Any, str, float]:
        behaviour = self.chance.choice(list(BEHAVIOURS))
        options: dict[str, Any] = options_of(behaviour) | {
            "queue": self.chance.choice(QUEUES),
            "priority": self.chance.choice((0, 0, 5)),
        }
        if self.chance.random() < 0.2:
            options["run_after"] = self.chance.random() * 3
        if self.chance.random() < 0.2:
            options["key"] = f"key {self.chance.randint(1, 3)}"
        return simulated.using(**options), behaviour, self.chance.random()

    async def _interfere(self, service: QueueService) -> None:
        """Cancel a job, or bring one back."""
        if not self.referee.cases:
            return
        case = self.chance.choice(list(self.referee.cases.values()))
        if self.chance.random() < 0.7:
            case.was_cancelled = True
            await service.cancel(case.id, running=self.chance.random() < 0.8)
        elif case.ended is not None:
            case.was_cancelled = True
            await service.revive(case.id)

    # What happens to them.

    async def _strike_until(self, end: float) -> None:
        faults: list[Callable[[], Coroutine[Any, Any, None] | None]] = [
            self._kill,
            self._freeze,
            self._take_down,
            self._part,
            self._stop_one,
            self._cancel_producer,
            self._start_worker,
        ]
        chosen = self.chance.sample(faults, self.chance.randint(0, len(faults)))
        while (left := end - self.loop.time()) > 0:
            await asyncio.sleep(min(left, 0.1 + self.chance.random() * 2))
            if chosen and self.loop.time() < end:
                happening = self.chance.choice(chosen)()
                if happening is not None:
                    await happening

    def _living(self) -> list[Process]:
        return [one for one in self._processes if not one.dead and not self._stops[one].is_set()]

    def _victim(self) -> Process | None:
        living = self._living()
        return self.chance.choice(living) if living else None

    def _kill(self) -> None:
        """Kill a worker in the middle of whatever it does a few callbacks from now."""
        victim = self._victim()
        if victim is None:
            return

        def strike() -> None:
            self.network.faults["killed"] += 1
            self.referee.tell(victim, "is killed")
            self._pinned.update(asyncio.all_tasks(self.loop))
            victim.kill()

        victim.fault, victim.fault_at = strike, victim.steps + self.chance.randint(1, 60)

    async def _freeze(self) -> None:
        victim = self._victim()
        if victim is None:
            return
        self.network.faults["frozen"] += 1
        self.referee.tell(victim, "is frozen")
        victim.freeze()
        await asyncio.sleep(self.chance.random() * 3 * LEASE)
        self.referee.tell(victim, "thaws")
        self.loop.thaw(victim)

    async def _take_down(self) -> None:
        self.network.faults["outage"] += 1
        self.referee.tell(None, "the store is out of reach")
        self.network.down = True
        await asyncio.sleep(self.chance.random() * 2 * LEASE)
        self.referee.tell(None, "the store is back")
        self.network.down = False

    async def _part(self) -> None:
        victim = self._victim()
        if victim is None:
            return
        self.network.faults["parted"] += 1
        self.referee.tell(victim, "is cut off from the store")
        self.network.apart.add(victim)
        self.network.parted.add(victim)
        await asyncio.sleep(self.chance.random() * 4 * LEASE)
        self.referee.tell(victim, "reaches the store again")
        self.network.apart.discard(victim)

    def _stop_one(self) -> None:
        victim = self._victim()
        if victim is not None:
            self.network.faults["told to stop"] += 1
            self.referee.tell(victim, "is told to stop")
            self._stops[victim].set()

    def _cancel_producer(self) -> None:
        self.network.faults["producer cancelled"] += 1
        self.chance.choice(self._producers).cancel()

    # And what must come of it.

    async def _calm_down(self) -> None:
        """No more faults, and at least one worker."""
        self.network.weather, self.network.down = Weather(), False
        for process in self._processes:
            process.fault = None
        await asyncio.wait(self._producers)
        if not self._living():
            self._start_worker()

    async def _settle_down(self) -> None:
        end = self.loop.time() + PATIENCE
        while stuck := [case.id for case in self.referee.cases.values() if case.unsettled]:
            if self.loop.time() > end:
                self.referee.protest(f"stuck after {PATIENCE:g} quiet seconds: {stuck}")
            await asyncio.sleep(0.5)
        for process in self._living():
            self._stops[process].set()
        await asyncio.sleep(20)
        await self._check_records()

    async def _check_records(self) -> None:
        ids = list(self.referee.cases)
        for job_id, job in zip(ids, await self.network.store.get(ids), strict=True):  # type: ignore[arg-type]
            case = self.referee.cases[job_id]
            if case.acknowledged or case.ended is not None:  # others came when all had stopped
                self._check_record(job_id, job)

    def _check_record(self, job_id: str, job: Job | None) -> None:
        case, expect = self.referee.cases[job_id], self.referee.expect
        if job is None:
            return self.referee.protest(f"{job_id} is lost")
        expect(job.status is case.ended, f"{job_id} is {job.status}, and ended as {case.ended}")
        quarantined = job.rescues > job.new.spec.max_rescues
        tried = job.attempt == RETRIES + 1 or case.behaviour == "discarding" or quarantined
        expect(
            job.attempt <= RETRIES + 1 and (tried or job.status is not Status.FAILED),
            f"{job_id} ({case.behaviour}) is {job.status} after {job.attempt} attempts",
        )
        expect(
            job.status is Status.COMPLETED
            or case.behaviour not in MUST_COMPLETE
            or case.was_cancelled
            or quarantined,
            f"{job_id} ({case.behaviour}) is {job.status}: {job.error}",
        )
        return None


def _unheard(unraisable: object) -> None:
    """Say nothing."""


def _close(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Unwind it; its clean-up may wait for something new, again and again."""
    for _ in range(100):
        with suppress(BaseException):
            coroutine.close()
            return


def _bury(loop: VirtualLoop) -> None:
    """Close what was left unfinished, so that it does not speak up when it is collected."""
    loop.set_exception_handler(lambda loop, context: None)
    hook, sys.unraisablehook = sys.unraisablehook, _unheard
    try:
        buried = set[asyncio.Task[Any]]()
        while left := asyncio.all_tasks(loop) - buried:  # some begin others as they end
            for task in left:
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                _close(cast("Coroutine[Any, Any, Any]", task.get_coro()))
            buried |= left
        loop.close()
    finally:
        sys.unraisablehook = hook
