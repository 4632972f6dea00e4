"""From a claimed job to a decided settlement."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from litestar_queues_core.config import AfterJob, WorkerConfig
from litestar_queues_core.context import TaskExecutionContext, run_shared
from litestar_queues_core.current import bound_service
from litestar_queues_core.errors import PayloadError, UnknownTaskError
from litestar_queues_core.events import STARTED
from litestar_queues_core.lanes import LOCAL
from litestar_queues_core.model import Event
from litestar_queues_core.outcome import Ending, Outcome
from litestar_queues_core.protocols import Executor
from litestar_queues_core.requests import encode_result
from litestar_queues_core.service import QueueService
from litestar_queues_core.settlements import Settlement
from litestar_queues_core.worker.announcer import Announcer
from litestar_queues_core.worker.deadlines import Deadlines
from litestar_queues_core.worker.holdings import Holdings
from litestar_queues_core.worker.run import Run, Stop
from litestar_queues_core.worker.settling import completed, put_back, settle, unrecordable
from litestar_queues_core.worker.transacting import Transacting

logger: logging.Logger = logging.getLogger("litestar_queues.worker")

RETURNED = Ending.RETURNED
UNACKNOWLEDGED = 1000
STOPPING = 5.0
EAGER: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}
"""A job runs to its first wait as it is started: one that never waits costs the loop nothing."""
TURN = 0.005
"""Seconds for which jobs are started before others on the loop have their turn."""


class Runner:
    """Starts what waits in the buffer, one asyncio task with its own context per job.

    Attributes:
        closed: Whether nothing new is started any more.
    """

    def __init__(
        self,
        service: QueueService,
        config: WorkerConfig,
        holdings: Holdings,
        announcer: Announcer,
        executors: Mapping[str, Executor],
        *,
        transacting: Transacting,
        worker: str,
        may_start: Callable[[], bool],
    ) -> None:
        self._service = service
        self._may_start = may_start
        self._config = config
        self._holdings = holdings
        self._announcer = announcer
        self._executors = executors
        self._transacting = transacting
        self._worker = worker
        self._loop = asyncio.get_running_loop()
        self._deadlines = Deadlines(self._loop)
        self._state: Any = None
        self._base = contextvars.copy_context()
        self._prefaced = announcer.enabled or config.before_job is not None
        self._hooked = bool(config.after_job or config.on_failure)
        self._buffers = holdings.buffer, holdings.running, holdings.outbox
        self._starting = False
        self.closed: bool = False

    @property
    def enabled(self) -> bool:
        """Whether anybody wants to hear of events."""
        return self._announcer.enabled

    def open(self, state: Any) -> None:
        """Let jobs see *state* as ``ctx.state``, and the context variables that are set now."""
        self._state = state
        self._base = contextvars.copy_context()
        self._base.run(bound_service.set, self._service)

    def start(self) -> None:
        """Start buffered jobs, once whoever calls has gone on to its next wait."""
        if not self._starting and self._holdings.buffer:
            self._starting = True
            self._loop.call_soon(self._take_turn)

    def _take_turn(self) -> None:
        """Start jobs while there are free slots and not too much is unsettled.

        After as many as there are slots, others on the loop have their turn, the fetcher for one.
        """
        self._starting = False
        if self.closed or not self._may_start():
            return
        buffer, running, outbox = self._buffers
        most = self._config.concurrency
        moment = self._loop.time()
        until = moment + TURN
        for _ in range(most):
            if not buffer or len(running) >= most or len(outbox) >= UNACKNOWLEDGED:
                return
            if moment > until:
                break
            self._begin(buffer.popleft(), moment)
            moment = self._loop.time()
        self.start()

    def _begin(self, run: Run, moment: float) -> None:
        if run.stopped is not None:
            return self._never_mind(run)
        spec = run.job.new.spec
        try:
            definition = self._service.registry.get(spec.task)
        except UnknownTaskError as error:
            return self._put_back(run, str(error))
        executor = self._executors.get(spec.execution_backend or LOCAL)
        if executor is None:
            return self._put_back(run, f"no executor is called {spec.execution_backend!r} here")
        context = run.context = TaskExecutionContext(
            run.job, definition, self._worker, self._service, self, self._state
        )
        self._holdings.begin(run, moment)
        if definition.isolation == "shared":
            code, variables = self._execute_shared(run, context, executor), self._base
        else:
            code, variables = self._execute(run, context, executor), self._base.copy()
            variables.run(context.enter)
        run.handle = asyncio.Task(code, loop=self._loop, context=variables, **EAGER)
        return None

    def _never_mind(self, run: Run) -> None:
        """Its cancel was requested before its code could start."""
        stopped = Outcome(ending=Ending.STOPPED)
        never = settle(run.job, stopped, run.stopped, noticed=False, is_retryable=lambda _: False)
        run.settlement = self._announcer.closing(run, never)
        self._holdings.settle(run)

    def _put_back(self, run: Run, reason: str) -> None:
        run.settlement = self._announcer.closing(run, put_back(run.job, reason))
        logger.warning("%s %s cannot run here: %s", run.job.task, run.job.id, reason)
        self._holdings.settle(run)

    async def _execute_shared(
        self, run: Run, context: TaskExecutionContext, executor: Executor
    ) -> None:
        with run_shared(context):
            await self._execute(run, context, executor)

    async def _execute(self, run: Run, context: TaskExecutionContext, executor: Executor) -> None:
        """Run the attempt, then its hooks; whatever they do, there is an outcome."""
        run.entered = True
        if run.stopped is not None:
            run.ended = True
            return self._conclude(run, context, Outcome(ending=Ending.STOPPED))
        timeout = run.job.new.spec.timeout
        slot = self._deadlines.add(run, timeout) if timeout else 0
        try:
            if self._prefaced:
                await self._before(run, context)
            outcome = await executor.run(run.job, context)
            if outcome.value is not None or run.undelivered or context.completion is not None:
                outcome = self._checked(run, context, outcome)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  (a hook or an executor failed: so did this)
            outcome = _broken_off(run, error)
        finally:
            if timeout:
                self._deadlines.remove(run, slot)
        run.ended = True
        if self._hooked:
            await self._after(context, outcome)
        return self._conclude(run, context, outcome)

    async def _before(self, run: Run, context: TaskExecutionContext) -> None:
        if self._announcer.enabled:
            self._report(run, context.make_event(STARTED))
        if self._config.before_job is not None:
            await _call(self._config.before_job, context)

    def _checked(self, run: Run, context: TaskExecutionContext, outcome: Outcome) -> Outcome:
        """Encode the result, and see that all was delivered, while it can still fail."""
        if context.completion is not None:
            outcome = context.completion.judged(outcome)
            if run.committed:
                return outcome
        if not outcome.succeeded:
            return outcome
        if run.undelivered:
            error = RuntimeError("an event of this attempt could not be delivered")
            return Outcome(ending=Ending.RAISED, error=error)
        if outcome.encoded is not None or not run.job.new.spec.keep_result:
            return outcome
        service = self._service
        limit = service.config.max_payload
        try:
            encoded = encode_result(
                context.definition, outcome.value, service.serializer, limit=limit
            )
        except PayloadError as error:
            return Outcome(ending=Ending.INVALID, error=error)
        return Outcome(RETURNED, outcome.value, encoded)

    async def _after(self, context: TaskExecutionContext, outcome: Outcome) -> None:
        for hook in self._hooks(outcome):
            try:
                await _call(hook, context, outcome)
            except KeyboardInterrupt:
                raise
            except BaseException:  # what the code has come to stands
                logger.exception("a hook failed after %r", context)

    def _hooks(self, outcome: Outcome) -> Iterator[AfterJob]:
        if self._config.after_job is not None:
            yield self._config.after_job
        if self._config.on_failure is not None and not outcome.succeeded:
            yield self._config.on_failure

    def _conclude(self, run: Run, context: TaskExecutionContext, outcome: Outcome) -> None:
        if not run.committed:
            self._decide(run, context, outcome)
        self._holdings.end(run, self._loop.time())
        if run.stopped is not None and run.lost and not run.committed:
            self._announcer.rejected(run)
        self.start()

    def _decide(self, run: Run, context: TaskExecutionContext, outcome: Outcome) -> None:
        if run.stopped is None and outcome.ending is RETURNED:
            run.settlement = completed(run.job, outcome)
        else:
            run.settlement = self._settled(run, context, outcome)
        if self._announcer.enabled:
            run.settlement = self._announcer.closing(run, run.settlement)

    def _settled(self, run: Run, context: TaskExecutionContext, outcome: Outcome) -> Settlement:
        try:
            return settle(
                run.job,
                outcome,
                run.stopped,
                noticed=context.noticed,
                is_retryable=context.definition.retry_policy.is_retryable,
            )
        except Exception as error:  # an exception of the task's that cannot even be described
            logger.exception("%s %s: its outcome is unreadable", run.job.task, run.job.id)
            return unrecordable(run.job, f"{type(error).__name__}: {error}")

    def now_ms(self) -> int:
        """Return the time that events carry."""
        return time.time_ns() // 1_000_000

    def progress(self, context: TaskExecutionContext, value: bytes) -> None:
        """Let the store have the progress of a running job with the next exchange."""
        run = self._speaking(context)
        if run is not None:
            self._holdings.progress[run] = run.progress = value
            self._holdings.wake.set()

    async def publish(self, context: TaskExecutionContext, event: Event) -> None:
        """Publish an event of a running task; in strict mode, return once it is delivered."""
        run = self._speaking(context)
        publisher = self._service.publisher
        if run is None:
            return
        if not publisher.strict:
            self._report(run, event)
            return
        self._announcer.keep(run, event)
        try:
            await publisher.deliver([event])
        except BaseException:  # the task itself may give it up
            run.undelivered = True
            raise

    def transaction(self, context: TaskExecutionContext) -> AbstractAsyncContextManager[Any]:
        """Open a transaction in which the attempt completes its job."""
        return self._transacting.open(context)

    def _speaking(self, context: TaskExecutionContext) -> Run | None:
        """Return the run of *context*, while its code runs: nothing it says later counts."""
        run = self._holdings.held.get(context.id)
        return run if run is not None and run.context is context and not run.ended else None

    def _report(self, run: Run, event: Event) -> None:
        self._announcer.keep(run, event)
        self._service.publisher.emit([event])

    def stop_all(self, reason: Stop) -> None:
        """Ask the code of every running attempt to stop."""
        for run in list(self._holdings.running):
            run.stop(reason)

    async def abandon(self) -> None:
        """Interrupt what still runs, and see it stop: nobody settles it any more."""
        self.closed = True
        handles = [run.handle for run in self._holdings.running if run.handle is not None]
        for handle in handles:
            handle.cancel()
        if handles:
            await asyncio.wait(handles, timeout=STOPPING)


def _broken_off(run: Run, error: BaseException) -> Outcome:
    stopped = isinstance(error, asyncio.CancelledError) and run.stopped is not None
    return Outcome(ending=Ending.STOPPED if stopped else Ending.RAISED, error=error)


async def _call(hook: Any, *args: object) -> None:
    answer = hook(*args)
    if inspect.isawaitable(answer):
        await answer
