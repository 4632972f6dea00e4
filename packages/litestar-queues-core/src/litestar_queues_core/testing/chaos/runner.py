"""A run from beginning to end."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from litestar_queues_core.asking import insist
from litestar_queues_core.errors import ConfigError
from litestar_queues_core.ids import JobId
from litestar_queues_core.model import Job, Status
from litestar_queues_core.protocols import Store, SupportsBrowse, SupportsKeeper
from litestar_queues_core.settlements import JobQuery
from litestar_queues_core.stores.memory import MemoryBackendConfig
from litestar_queues_core.testing.chaos.audit import Audit
from litestar_queues_core.testing.chaos.evidence import Evidence
from litestar_queues_core.testing.chaos.faults import NETWORK, Faults, plan, skipped
from litestar_queues_core.testing.chaos.fleet import Fleet
from litestar_queues_core.testing.chaos.notes import Reader
from litestar_queues_core.testing.chaos.proxy import Proxy
from litestar_queues_core.testing.chaos.report import Report
from litestar_queues_core.testing.chaos.settings import DATA, Settings
from litestar_queues_core.testing.chaos.targets import (
    Ledger,
    SupportsDisk,
    SupportsLedger,
    SupportsProxy,
    SupportsServer,
    make_target,
)
from litestar_queues_core.testing.chaos.work import notes_of

LOOKS = 0.2
PAGE = 500
WARM_UP = 60.0
UNFINISHED = JobQuery(status=tuple(status for status in Status if not status.finished), limit=PAGE)

Tell = Callable[[str], None]


class Runner:
    """Lets things go wrong for a while, and then counts what is left.

    Args:
        settings: What to do.
        workspace: An empty directory.
        no_disk: Why no disk can be made here, or nothing.
        tell: Called with a line about how far it is, every now and then.

    Raises:
        ConfigError: There is no such target, or other processes cannot see its jobs.
    """

    def __init__(
        self, settings: Settings, workspace: Path, *, no_disk: str = "", tell: Tell
    ) -> None:
        self._settings = settings
        self._workspace = workspace
        self._target = make_target(settings.store, workspace)
        if isinstance(self._target.config(DATA), MemoryBackendConfig):
            raise ConfigError("one process sees the jobs of the memory store: no chaos with it")
        self._skipped = skipped(settings.faults, self._target, no_disk)
        self._faults = [one for one in settings.faults if one not in self._skipped]
        self._evidence = Evidence()
        self._tell = tell
        self._reader = Reader(notes_of(workspace))
        self._told = self._begun = time.monotonic()

    async def run(self) -> Report:
        """Return what came of it.  No process is left, whatever happens."""
        async with AsyncExitStack() as resources:
            proxy = await resources.enter_async_context(self._surroundings())
            fleet = Fleet(self._workspace, self._settings.seed)
            resources.push_async_callback(fleet.close)
            faults = Faults(
                fleet,
                self._target,
                proxy,
                lease=self._settings.lease,
                seed=self._settings.seed,
            )
            faults.ready = self._evidence.ready
            await self._let_things_go_wrong(fleet, faults)
            settled_after = await self._let_things_settle(fleet)
            return await self._report(fleet, faults, settled_after)

    @asynccontextmanager
    async def _surroundings(self) -> AsyncGenerator[Proxy | None]:
        """Start what the store needs; tell the children where it is."""
        target, settings = self._target, self._settings
        if "disk" in self._faults and isinstance(target, SupportsDisk):
            await asyncio.to_thread(target.make_disk)
        async with AsyncExitStack() as resources:
            if isinstance(target, SupportsServer):
                resources.push_async_callback(asyncio.to_thread, target.stop)
                await asyncio.to_thread(target.start)
            proxy: Proxy | None = None
            if isinstance(target, SupportsProxy) and not set(NETWORK).isdisjoint(self._faults):
                proxy = await resources.enter_async_context(Proxy(*target.address()))
                settings.through = proxy.address
            settings.write(self._workspace)
            async with target.config(DATA).open():  # whatever has to be made is made once
                if isinstance(target, SupportsLedger):
                    await asyncio.to_thread(target.make_ledger)
            yield proxy

    async def _let_things_go_wrong(self, fleet: Fleet, faults: Faults) -> None:
        settings = self._settings
        fleet.staff("worker", settings.workers)
        fleet.staff("producer", settings.producers)
        await self._let_all_start(fleet)
        planned = plan(
            self._faults, seconds=settings.seconds, lease=settings.lease, seed=settings.seed
        )
        until = time.monotonic() + settings.seconds
        happening = asyncio.create_task(faults.happen(planned))
        try:
            while time.monotonic() < until or not happening.done():
                await asyncio.sleep(LOOKS)
                fleet.check()
                self._read(f"faults {faults.counts.total()} of {len(planned)}")
            await happening
        finally:
            happening.cancel()
            await asyncio.gather(happening, return_exceptions=True)

    async def _let_all_start(self, fleet: Fleet) -> None:
        """Wait until everybody is at work: faults that hit none but who starts show little."""
        until, evidence = time.monotonic() + WARM_UP, self._evidence
        while len(evidence.ready) < self._settings.workers or not evidence.acknowledged:
            if time.monotonic() > until:
                break
            await asyncio.sleep(LOOKS)
            fleet.check()
            self._read("starting")

    async def _let_things_settle(self, fleet: Fleet) -> float | None:
        """Stop the producers, wait until every job has ended, then stop the workers."""
        calm = time.monotonic()
        await fleet.dismiss("producer")
        settled_after: float | None = None
        async with self._target.config(DATA).open() as store:
            left: set[str] = set()
            while time.monotonic() < calm + self._settings.patience:
                self._read(f"quiet; {len(left)} jobs left")
                records = await _records(store, sorted(left) or self._evidence.jobs)
                left = {one for one, job in records.items() if job and not job.status.finished}
                if not left and not await self._unfinished(store):
                    settled_after = time.monotonic() - calm
                    break
                await asyncio.sleep(LOOKS)
        await fleet.dismiss("worker")
        return settled_after

    async def _unfinished(self, store: Store) -> bool:
        """Return whether a job has not ended, looking at all of them anew."""
        self._read("quiet; looking again")
        if isinstance(store, SupportsBrowse):  # also at those which nobody has heard of
            page = await insist(partial(store.find, UNFINISHED), what="find")
            self._evidence.unknown.update(job.id for job in page.jobs)
        records = await _records(store, self._evidence.jobs)
        return any(job and not job.status.finished for job in records.values())

    async def _report(self, fleet: Fleet, faults: Faults, settled_after: float | None) -> Report:
        self._read("counting")
        self._evidence.close(faults.windows, fleet.deaths)
        ledger: Ledger | None = None
        if isinstance(self._target, SupportsLedger):
            ledger = await asyncio.to_thread(self._target.read_ledger)
            self._evidence.unknown.update(ledger.ordered)
        async with self._target.config(DATA).open() as store:
            records = await _records(store, self._evidence.jobs)
            keeper = isinstance(store, SupportsKeeper)
        own = Counter(str(death.code) for death in fleet.deaths.values() if not death.wanted)
        return Report(
            settings=self._settings,
            figures=Audit(self._evidence, records, keeper=keeper, ledger=ledger).run(),
            faults=dict(faults.counts),
            skipped=self._skipped,
            deaths=dict(own),
            settled_after=settled_after,
            seconds=round(time.monotonic() - self._begun, 1),
        )

    def _read(self, doing: str) -> None:
        """Read what was noted meanwhile, and tell about it every few seconds."""
        for note in self._reader.news():
            self._evidence.add(note)
        if time.monotonic() - self._told > 3.0:
            self._told = time.monotonic()
            self._tell(
                f"{self._told - self._begun:5.0f} s  {len(self._evidence.acknowledged)} enqueued, "
                f"{self._evidence.ended} runs returned; {doing}"
            )


async def _records(store: Store, ids: Sequence[str]) -> dict[str, Job | None]:
    """Return what the store says of these jobs."""
    records: dict[str, Job | None] = {}
    for start in range(0, len(ids), PAGE):
        page = [JobId(one) for one in ids[start : start + PAGE]]
        records |= zip(page, await insist(partial(store.get, page), what="get"), strict=True)
    return records
