"""The exchange loop: settle what has ended, claim what there is room for."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from functools import partial

from litestar_queues_core.asking import ask, insist, pause
from litestar_queues_core.errors import (
    LeaseLost,
    QueueError,
    SettlementRefused,
    StaleExchange,
    StoreUnavailable,
)
from litestar_queues_core.lifecycle import has_completed, was_applied
from litestar_queues_core.loop import now
from litestar_queues_core.protocols import Store
from litestar_queues_core.settlements import NOTHING, Exchange, Kind, Settlement, Wants
from litestar_queues_core.worker.announcer import Announcer
from litestar_queues_core.worker.capacity import Capacity
from litestar_queues_core.worker.holdings import BATCH, Holdings
from litestar_queues_core.worker.keeper import Lease
from litestar_queues_core.worker.run import Run, Stop
from litestar_queues_core.worker.settling import release, unrecordable

logger: logging.Logger = logging.getLogger("litestar_queues.worker")

BUSY_PAUSE = 0.05
STALE = 2.0


class Fetcher:
    """Keeps one exchange in flight; whatever gathers meanwhile goes with the next.

    Args:
        store: The store.
        lease: The lease of this process.
        holdings: What this process holds.
        capacity: How much it can take.
        announcer: Told what the store has acknowledged.
        start: Called when there may be jobs to start.
        rests: Shortest and longest rest of an idle worker in seconds; it doubles in between.

    Attributes:
        closing: Whether nothing new is claimed any more.
        asking: Whether an exchange is in flight.
        dry: Set by a look for work that has found nothing while nothing was held; whoever waits
            for it puts a new one, which only a look that begins after that will set.
    """

    def __init__(
        self,
        store: Store,
        lease: Lease,
        holdings: Holdings,
        capacity: Capacity,
        announcer: Announcer,
        *,
        start: Callable[[], None],
        rests: tuple[float, float],
    ) -> None:
        self._store = store
        self._lease = lease
        self._holdings = holdings
        self._capacity = capacity
        self._announcer = announcer
        self._start = start
        self._rests = rests
        self._rest = rests[0]
        self._limit = BATCH
        self._remembered: tuple[int, Sequence[Settlement], Wants] | None = None
        self._audited = now()
        self._doubtful: list[Run] = []
        self.closing: bool = False
        self.asking: bool = False
        self.dry: asyncio.Event = asyncio.Event()
        self._asked_for = self.dry
        self.next_due: Callable[[float], None] = lambda _: None

    def hint(self) -> None:
        """Look for work now: some has been announced."""
        self._rest = self._rests[0]
        self._holdings.wake.set()

    async def poll(self) -> float:
        """Do exchanges as long as there is a reason for one; return the seconds to rest.

        After one that leads to another, the next is sent before the loop runs what was claimed:
        the store works on it meanwhile.
        """
        rest = 0.0
        while rest <= 0:
            rest = await self._round()
        return rest

    async def _round(self) -> float:
        if self._capacity.round_over:
            self._asked_for = self.dry
        if self._lease.dead:
            await self._lose([], asked_twice=False)
        await self._audit()
        batch = self._holdings.batch(self._limit)
        wants = self._wants()
        if not batch and not self._holdings.progress and wants.limit == 0:
            return self._lease.seconds if self._lease.may_start else self._lease.interval
        answer = await self._send(batch, wants)
        if answer is None:
            return 0.0
        claimed = self._accept(batch, answer)
        await self._clear_up()
        if self.closing:
            self.give_back(age=0.0)
            self._holdings.changed.set()
        self._start()
        return self._rest_after(claimed, wants)

    async def _send(self, batch: list[Run], wants: Wants) -> Exchange | None:
        self.asking = True
        self._holdings.completed.clear()
        try:
            return await self._exchange(batch, wants)
        except BaseException:
            self._holdings.untake(batch)
            raise
        finally:
            self.asking = False

    def _rest_after(self, claimed: int, wants: Wants) -> float:
        """Return how long to rest after an exchange that brought so many jobs."""
        if self._holdings.outbox or claimed:
            self._rest = self._rests[0]
        if self._holdings.outbox or claimed >= wants.limit or not self._capacity.round_over:
            return 0.0
        if claimed:
            return self._rest
        if self._holdings.empty:
            self._asked_for.set()
        self._rest = min(self._rest * 2, self._rests[1])
        return self._rest * random.uniform(0.8, 1.0)  # noqa: S311

    def _wants(self) -> Wants:
        if self.closing or not self._lease.may_start:
            return NOTHING
        return self._capacity.wants(self._holdings)

    async def _exchange(self, batch: list[Run], wants: Wants) -> Exchange | None:
        """Send one exchange until its outcome is known; ``None`` if nothing came of it."""
        lease = self._lease
        progress = self._progress()
        settlements = progress + [run.settlement for run in batch if run.settlement]
        request = (lease.next_seq(), settlements, wants)
        failures = 0
        while True:
            sent = lease.sending()
            try:
                answer = await ask(self._store.exchange(lease.id, *request))
            except SettlementRefused as error:
                self._refused(progress, batch, error)
                return None
            except LeaseLost:
                await self._lose(batch, asked_twice=failures > 0)
                return None
            except StaleExchange:
                raise
            except QueueError as error:  # unforeseen ones too may have come after the effect
                failures += 1
                logger.warning("exchange: %s; asking again", error)
                await asyncio.sleep(pause(failures))
            else:
                lease.extended(sent)
                if settlements or answer.claimed:
                    self._remembered = request
                return answer

    def _progress(self) -> list[Settlement]:
        reports, self._holdings.progress = self._holdings.progress, {}
        return [
            Settlement(id=run.job.id, delivery=run.job.delivery, kind=Kind.PROGRESS, value=value)
            for run, value in reports.items()
        ]

    def _accept(self, batch: list[Run], answer: Exchange) -> int:
        rejected, busy, ended = set(answer.rejected), set(answer.busy), set(answer.ended)
        for run in batch:
            if rejected and run.key in rejected:
                self._holdings.forget(run)
                self._reject(run)
            elif busy and run.key in busy:
                self._again_later(run)
            else:
                self._holdings.forget(run)
                self._announcer.acknowledged(run, cancelled=bool(ended) and run.key in ended)
        self.stop(answer.cancelled)
        self._limit = min(self._limit * 2, BATCH)
        if answer.next_due_ms is not None:
            self.next_due((answer.next_due_ms - answer.now_ms) / 1000)
        return self._holdings.take(answer.claimed)

    def _reject(self, run: Run) -> None:
        if run.doubtful is None:
            self._announcer.rejected(run)
        else:
            self._doubtful.append(run)

    async def _clear_up(self) -> None:
        """Say what became of those that have perhaps completed their jobs themselves."""
        while self._doubtful:
            run = self._doubtful.pop()
            records = await insist(
                partial(self._store.get, [run.job.id]), what="look-up after a commit"
            )
            if run.doubtful is not None and has_completed(records[0], run.doubtful):
                self._announcer.completed(run, run.doubtful)
            else:
                self._announcer.rejected(run)

    def stop(self, cancelled: Sequence[str]) -> None:
        """Stop the runs whose cancel was requested."""
        for job_id in cancelled:
            run = self._holdings.held.get(job_id)
            if run is not None:
                run.stop(Stop.CANCEL)

    def _again_later(self, run: Run) -> None:
        def resend() -> None:
            self._holdings.outbox.append(run)
            self._holdings.wake.set()

        asyncio.get_running_loop().call_later(BUSY_PAUSE, resend)

    def _refused(
        self, progress: Sequence[Settlement], batch: list[Run], error: SettlementRefused
    ) -> None:
        """Find the settlement that the store cannot hold by halving, and replace it.

        Progress is suspected first, and given up: the job has more to say.
        """
        doubtful = [one for one in progress if error.ids is None or one.id in error.ids]
        if doubtful:
            logger.error("progress of %d jobs was refused: %s", len(doubtful), error.reason)
            self._holdings.untake(batch)
            return
        suspects = [run for run in batch if error.ids and run.job.id in error.ids] or batch
        others = [run for run in batch if run not in suspects]
        if len(suspects) == 1:
            suspects = self._replaced(suspects[0], error.reason)
        self._holdings.untake(suspects + others)
        self._limit = max(1, len(suspects) // 2)

    def _replaced(self, run: Run, reason: str) -> list[Run]:
        """Let *run* fail instead; if that was refused too, leave it to the end of the lease."""
        logger.error("job %s: the store refused its settlement: %s", run.job.id, reason)
        if run.replaced:
            self._holdings.forget(run)
            return []
        run.replaced = True
        run.events = None
        run.settlement = self._announcer.closing(run, unrecordable(run.job, reason))
        return [run]

    async def _lose(self, batch: list[Run], *, asked_twice: bool) -> None:
        """The lease is dead: drop what it held and begin another."""
        self._lease.dead = True
        logger.error(
            "lease %s is dead: this process was silent for too long; %d jobs belong to others now",
            self._lease.id,
            len(self._holdings.held),
        )
        applied = await self._applied(batch) if asked_twice and batch else set[str]()
        for run in batch:
            if run.job.id in applied:
                self._announcer.acknowledged(run, cancelled=False)
            else:
                self._announcer.rejected(run)
        self._drop_all(batch)
        self._remembered = None
        await self._lease.begin()

    async def _applied(self, batch: list[Run]) -> set[str]:
        records = await insist(
            lambda: self._store.get([run.job.id for run in batch]),
            what="look-up after a lost lease",
        )
        return {
            run.job.id
            for run, job in zip(batch, records, strict=True)
            if job is not None and run.settlement and was_applied(run.settlement, job)
        }

    def _drop_all(self, announced: list[Run]) -> None:
        holdings = self._holdings
        for run in list(holdings.held.values()):
            run.stop(Stop.LOST)
            holdings.forget(run)
        for run in holdings.outbox:
            if run not in announced:
                self._announcer.rejected(run)
        holdings.outbox.clear()
        holdings.buffer.clear()
        holdings.progress.clear()
        holdings.suspect = None

    async def _audit(self) -> None:
        """Once per lease time, ask what the lease holds, and give back what is not known here."""
        if now() - self._audited < self._lease.seconds or self.closing:
            return
        self._audited = now()
        if self._remembered is None:
            return
        self._holdings.completed.clear()
        try:
            answer = await ask(self._store.exchange(self._lease.id, *self._remembered))
        except (StaleExchange, LeaseLost, StoreUnavailable) as error:
            logger.debug("audit of lease %s: %s", self._lease.id, error)
            return
        for job in answer.claimed:
            known = self._holdings.held.get(job.id)
            if (job.id, job.delivery) in self._holdings.completed:
                continue
            if known is None or known.job.delivery != job.delivery:
                logger.warning("job %s is held and not known here; giving it back", job.id)
                run = Run(job, now())
                run.settlement = self._announcer.closing(run, release(job))
                self._holdings.held[job.id] = run
                self._holdings.settle(run)

    def give_back(self, *, age: float = STALE) -> None:
        """Release the jobs that have waited here unstarted for *age* seconds."""
        for run in self._holdings.stale(age):
            run.settlement = self._announcer.closing(run, release(run.job))
            self._holdings.settle(run)
