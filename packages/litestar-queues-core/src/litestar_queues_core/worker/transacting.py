"""The transactions in which attempts complete themselves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NamedTuple

from litestar_queues_core.abilities import require
from litestar_queues_core.asking import CALL_DEADLINE, ask, insist
from litestar_queues_core.completion import Completion, to_the_end
from litestar_queues_core.context import TaskExecutionContext
from litestar_queues_core.errors import (
    LeaseLost,
    QueueError,
    StoreUnavailable,
    TransactionError,
)
from litestar_queues_core.ids import LeaseId
from litestar_queues_core.lifecycle import has_completed
from litestar_queues_core.protocols import SupportsTransactions
from litestar_queues_core.service import QueueService
from litestar_queues_core.settlements import Kind, Settlement
from litestar_queues_core.worker.announcer import Announcer
from litestar_queues_core.worker.holdings import Holdings
from litestar_queues_core.worker.keeper import Lease
from litestar_queues_core.worker.run import Run, Stop

logger: logging.Logger = logging.getLogger("litestar_queues.worker")

BEGIN = 30.0
LOOK_UP = 10.0


class Block(NamedTuple):
    """One block of ``ctx.transaction()``.

    Attributes:
        run: The delivery that it may complete.
        completion: What it comes to.
        lease: The lease under which the job was claimed.
        store: The store.
        opened: The transaction.
        session: What the task writes through.
    """

    run: Run
    completion: Completion
    lease: LeaseId
    store: SupportsTransactions
    opened: AbstractAsyncContextManager[Any]
    session: Any


class Transacting:
    """Lets the code of attempts complete its job together with its own data.

    Args:
        service: The queue service.
        holdings: What this process holds.
        announcer: Told what has been committed.
        lease: Gives the lease of this process.
    """

    def __init__(
        self,
        service: QueueService,
        holdings: Holdings,
        announcer: Announcer,
        lease: Callable[[], Lease],
    ) -> None:
        self._service = service
        self._holdings = holdings
        self._announcer = announcer
        self._lease = lease
        self._now = asyncio.get_running_loop().time

    def open(self, context: TaskExecutionContext) -> AbstractAsyncContextManager[Any]:
        """Return the block in which the attempt of *context* may complete its job."""
        store = require(self._service.store, SupportsTransactions, "ctx.transaction()")
        return self._block(store, context)

    @asynccontextmanager
    async def _block(
        self, store: SupportsTransactions, context: TaskExecutionContext
    ) -> AsyncGenerator[Any]:
        run = self._run(context)
        completion = Completion(self._service, context.definition, context.job)
        context.completion = completion
        lease = self._lease().id
        try:
            opened = store.transaction()
            session = await _begin(opened)
            block = Block(run, completion, lease, store, opened, session)
            try:
                yield session
                settlement = self._settlement(block, context)
            except BaseException as error:
                await to_the_end(_roll_back(opened, error))
                raise
            await to_the_end(self._commit(block, settlement))
        finally:
            completion.open = False

    def _run(self, context: TaskExecutionContext) -> Run:
        """Return the run of *context*, which must hold its job and have no other block."""
        if context.completion is not None and context.completion.committed:
            raise TransactionError(
                "this attempt has completed its job in a transaction already; there is one in each "
                "attempt"
            )
        if context.completion is not None and context.completion.open:
            raise TransactionError("a transaction of this attempt is open already; use its session")
        run = self._holdings.held.get(context.id)
        if run is None or run.context is not context or run.ended:
            raise LeaseLost(self._lease().id, job=context.id)
        return run

    def _settlement(self, block: Block, context: TaskExecutionContext) -> Settlement:
        """Return what completes the job, if the code that has come to its end may do so."""
        run = block.run
        if run.stopped is Stop.TIMEOUT or (run.stopped is not None and context.noticed):
            raise asyncio.CancelledError(run.stopped)
        if run.undelivered:
            raise RuntimeError("an event of this attempt could not be delivered")
        return self._announcer.closing(run, block.completion.settlement())

    async def _commit(self, block: Block, settlement: Settlement) -> None:
        """Settle in the transaction and commit; an unknown outcome is looked up."""
        try:
            await self._settle(block, settlement)
        except BaseException as error:
            await _roll_back(block.opened, error)
            raise
        try:
            async with asyncio.timeout(CALL_DEADLINE):
                await block.opened.__aexit__(None, None, None)
        except Exception as error:
            if not await self._was_committed(block.run, settlement, error):
                block.run.doubtful = settlement
                raise
        self._committed(block, settlement)

    async def _settle(self, block: Block, settlement: Settlement) -> None:
        steps = [settlement]
        progress = block.run.progress
        if progress is not None:  # also if an exchange has it: it may find the job locked by us
            fence = (settlement.id, settlement.delivery)
            steps.insert(0, Settlement(*fence, kind=Kind.PROGRESS, value=progress))
        try:
            for step in steps:
                await ask(block.store.settle_in(block.session, block.lease, step))
        except LeaseLost as error:
            if error.job is None:
                self._note_death(block.lease)
            raise

    def _note_death(self, lease: LeaseId) -> None:
        """Let the worker begin another lease: it has not heard yet that this one is dead."""
        if lease == self._lease().id:
            self._lease().dead = True
            self._holdings.wake.set()

    async def _was_committed(self, run: Run, settlement: Settlement, error: Exception) -> bool:
        """Return whether a commit that was answered by an error has taken effect, as far as known.

        If it cannot be seen, the fence decides: whatever is sent for this delivery later is
        rejected if the commit took effect, and waits for it as long as it may still do so.
        """
        logger.warning(
            "%s %s: the commit of its own transaction failed, looking up whether it took effect: "
            "%s: %s",
            *(run.job.task, run.job.id, type(error).__name__, error),
        )
        give_up = self._now() + LOOK_UP
        try:
            (job,) = await insist(
                lambda: self._service.store.get([run.job.id]),
                what="look-up after a commit",
                until=lambda: run.lost or self._now() > give_up,
            )
        except QueueError as unknown:
            logger.warning("%s %s: look-up after a commit: %s", run.job.task, run.job.id, unknown)
            return False
        return has_completed(job, settlement)

    def _committed(self, block: Block, settlement: Settlement) -> None:
        """The job is completed: nobody settles it any more, whatever its code still does."""
        run = block.run
        run.committed = block.completion.committed = True
        run.took = self._now() - run.started
        self._holdings.progress.pop(run, None)
        self._holdings.complete(run)
        self._announcer.completed(run, settlement)


async def _begin(opened: AbstractAsyncContextManager[Any]) -> Any:
    """Open the transaction; the pool of the application may be busy for a while."""
    try:
        async with asyncio.timeout(BEGIN):
            return await ask(opened.__aenter__(), deadline=2 * BEGIN)
    except TimeoutError as error:
        raise StoreUnavailable(
            f"no session could be had within {BEGIN:g} s: the application's pool may be exhausted; "
            "it needs as many connections as the worker runs such jobs at a time"
        ) from error


async def _roll_back(opened: AbstractAsyncContextManager[Any], error: BaseException) -> None:
    """Undo the transaction because of *error*, which the caller raises."""
    try:
        async with asyncio.timeout(CALL_DEADLINE):
            await opened.__aexit__(type(error), error, error.__traceback__)
    except BaseException as another:  # noqa: BLE001  (what was wrong first is what is raised)
        if another is not error:
            logger.warning("rolling back: %s: %s", type(another).__name__, another)
