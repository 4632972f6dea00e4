"""The lease of a worker process, and what keeps it alive."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from litestar_queues_core.asking import ask, insist, renewal_deadline
from litestar_queues_core.errors import LeaseLost, StoreUnavailable
from litestar_queues_core.ids import JobId, LeaseId, new_lease_id
from litestar_queues_core.loop import rest_until, run_forever
from litestar_queues_core.model import WorkerInfo
from litestar_queues_core.protocols import LeaseKeeper, Store, SupportsKeeper
from litestar_queues_core.settlements import Renewal
from litestar_queues_core.worker.watchdog import Watchdog

logger: logging.Logger = logging.getLogger("litestar_queues.worker")

RENEWED_EVERY = 5.0
TICK = 1.0
LAST_ACT = 2.0


class Lease:
    """The right of this process to all jobs it holds.

    Attributes:
        id: The lease; a new one after each loss.
        seconds: How long it lasts without a sign of life.
        dead: Whether the store has said so; it stays so until another is opened.
    """

    def __init__(self, store: Store, info: WorkerInfo, seconds: float) -> None:
        self.id: LeaseId = LeaseId("")
        self.seconds: float = seconds
        self.dead: bool = False
        self._store = store
        self._info = info
        self._seq = 0
        self._now = asyncio.get_running_loop().time
        self._extended = float("-inf")
        self._steady: float | None = None

    @property
    def interval(self) -> float:
        """Seconds between two renewals."""
        return min(self.seconds / 3, RENEWED_EVERY)

    @property
    def may_start(self) -> bool:
        """Whether jobs may be started: the store was heard of within half a lease."""
        return not self.dead and self._now() - self._extended < self.seconds / 2

    @property
    def may_rescue(self) -> bool:
        """Whether this process may judge others: its own renewals worked for one full lease.

        After an outage of the store, or a sleep of this process, everybody renews first.
        """
        steady = self._steady
        return self.may_start and steady is not None and self._now() - steady >= self.seconds

    async def begin(self) -> None:
        """Open a new lease, however long the store takes to answer.

        One whose opening was heard and not answered may have run out by the next try; then
        another is opened.
        """
        lease = new_lease_id()
        try:
            sent = await insist(lambda: self._open(lease), what="opening a lease")
        except LeaseLost as error:
            logger.warning("opening a lease: %s; opening another", error)
            return await self.begin()
        self.id, self._seq, self._steady = lease, 0, None
        self.dead = False
        self.renewed(sent)
        return None

    async def _open(self, lease: LeaseId) -> float:
        sent = self._now()
        await self._store.open_lease(lease, self._info, seconds=self.seconds)
        return sent

    def next_seq(self) -> int:
        """Return the number of a new exchange."""
        self._seq += 1
        return self._seq

    def sending(self) -> float:
        """Return the moment from which the lease runs anew, if the store answers what is sent."""
        return self._now()

    def extended(self, sent: float) -> None:
        """Note that the store has extended the lease, in answer to what was sent at *sent*."""
        if sent - self._extended >= self.seconds / 2:
            self._steady = None
        self._extended = max(self._extended, sent)

    def renewed(self, sent: float) -> bool:
        """Note that a renewal sent at *sent* has worked; return whether jobs may start again."""
        idle = not self.may_start
        self.extended(sent)
        if self._steady is None:
            self._steady = sent
        return idle and self.may_start

    def missed(self) -> None:
        """Note that a renewal has failed."""
        self._steady = None


class Listener(Protocol):
    """What a keeper tells its worker, on the worker's loop."""

    def stop(self, cancelled: Sequence[JobId]) -> None:
        """The cancel of these jobs was requested."""
        ...

    def hint(self) -> None:
        """Look at the lease now."""
        ...


class LoopKeeper:
    """Renews the lease from the event loop, for stores without a connection of its own.

    A blocked loop can lose the lease, and with it the jobs.
    """

    def __init__(self, store: Store, lease: Lease, listener: Listener) -> None:
        self._store = store
        self._lease = lease
        self._listener = listener
        self._poked = asyncio.Event()

    def poke(self) -> None:
        """Renew now: a cancel was requested."""
        self._poked.set()

    async def run(self) -> None:
        """Renew until cancelled."""
        await rest_until(self._poked, self._lease.interval)
        await run_forever(self._poll, self._poked, name="keeper")

    async def _poll(self) -> float:
        lease = self._lease
        if not lease.dead:
            asked, sent = lease.id, lease.sending()
            try:
                renewal = await ask(
                    self._store.renew(asked, seconds=lease.seconds),
                    deadline=renewal_deadline(lease.seconds),
                )
            except Exception:
                lease.missed()
                raise
            resumed = renewal.alive and asked == lease.id and lease.renewed(sent)
            _note(lease, asked, renewal, self._listener, resumed=resumed)
        return lease.interval

    async def close(self) -> None:
        """Nothing to close."""

    def close_lease_and_exit(self, code: int) -> None:
        """End this process; its jobs are rescued once the lease has run out."""
        os._exit(code)


class ThreadKeeper:
    """Renews the lease on a thread with a connection of its own, and watches the event loop.

    However long the loop is blocked, no job is lost, until the watchdog gives the loop up.
    """

    def __init__(
        self, store: SupportsKeeper, lease: Lease, listener: Listener, watchdog: Watchdog
    ) -> None:
        self._store = store
        self._lease = lease
        self._listener = listener
        self._watchdog = watchdog
        self._loop = asyncio.get_running_loop()
        self._wake = threading.Event()
        self._closing = False
        self._last_act: Callable[[], None] | None = None
        self._thread = threading.Thread(
            target=self._keep, name="litestar-queues-keeper", daemon=True
        )

    def poke(self) -> None:
        """Renew now: a cancel was requested."""
        self._due = 0.0
        self._wake.set()

    async def run(self) -> None:
        """Keep the thread until cancelled."""
        self._due = time.monotonic() + self._lease.interval
        self._thread.start()
        await asyncio.get_running_loop().create_future()

    async def close(self) -> None:
        """End the thread."""
        self._closing = True
        self._wake.set()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join, LAST_ACT)

    def close_lease_and_exit(self, code: int) -> None:
        """Close the lease as the last act of this process, whatever its threads are doing."""

        def exit_now() -> None:
            os._exit(code)

        self._last_act = exit_now
        self._wake.set()
        self._thread.join(LAST_ACT)
        os._exit(code)

    def _keep(self) -> None:
        while not self._closing:
            try:
                with self._store.keeper() as keeper:
                    while not self._closing:
                        self._round(keeper)
            except Exception as error:  # noqa: BLE001  (a new connection is the cure for all)
                self._lease.missed()
                logger.warning("renewing the lease: %s: %s", type(error).__name__, error)
                self._watchdog.look()
                self._wake.wait(TICK)
                self._wake.clear()

    def _round(self, keeper: LeaseKeeper) -> None:
        if self._last_act is not None:
            keeper.close_lease(self._lease.id)
            self._last_act()
        if time.monotonic() >= self._due and self._watchdog.alive and not self._lease.dead:
            self._due = time.monotonic() + self._lease.interval
            asked, sent = self._lease.id, self._lease.sending()
            self._tell(asked, sent, keeper.renew(asked, seconds=self._lease.seconds))
        self._watchdog.look()
        self._wake.wait(max(0.0, min(TICK, self._due - time.monotonic())))
        self._wake.clear()

    def _tell(self, asked: LeaseId, sent: float, renewal: Renewal) -> None:
        lease = self._lease
        # Noted here and not on the loop: that may be blocked, and the lease is kept nevertheless.
        resumed = renewal.alive and asked == lease.id and lease.renewed(sent)
        if renewal.alive and not renewal.cancelled and not resumed:
            return
        note = partial(_note, lease, asked, renewal, self._listener, resumed=resumed)
        try:
            self._loop.call_soon_threadsafe(note)
        except RuntimeError:
            self._closing = True


def _note(
    lease: Lease, asked: LeaseId, renewal: Renewal, listener: Listener, *, resumed: bool = False
) -> None:
    """Heed what the store says of the lease *asked*, unless another has followed it."""
    if asked != lease.id:
        return
    if not renewal.alive:
        lease.dead = True  # for good: what the store said before and comes late revives nothing
    listener.stop(renewal.cancelled)
    if not renewal.alive or resumed:
        listener.hint()


def keeper_of(
    store: Store, lease: Lease, listener: Listener, watchdog: Watchdog
) -> LoopKeeper | ThreadKeeper:
    """Return the best keeper that *store* allows."""
    if isinstance(store, SupportsKeeper):
        return ThreadKeeper(store, lease, listener, watchdog)
    logger.info(
        "%s has no keeper: the lease is renewed on the event loop, and a loop that is blocked for "
        "longer than %g s loses its jobs",
        type(store).__name__,
        lease.seconds,
    )
    return LoopKeeper(store, lease, listener)


async def close_lease(store: Store, lease: Lease) -> None:
    """Give back what the lease still holds, or leave it to rescue if the store does not answer."""
    try:
        await ask(store.close_lease(lease.id))
    except (StoreUnavailable, LeaseLost) as error:
        logger.warning(
            "closing lease %s: %s; its jobs are rescued within %g s", lease.id, error, lease.seconds
        )
