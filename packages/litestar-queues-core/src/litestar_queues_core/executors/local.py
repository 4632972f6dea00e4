"""Running attempts in the worker itself: on its event loop or in its threads."""

from __future__ import annotations

import asyncio
import contextvars
from functools import partial
from typing import Any

from litestar_queues_core.context import TaskExecutionContext
from litestar_queues_core.dependencies import DependencyProvider
from litestar_queues_core.errors import PayloadError
from litestar_queues_core.executors.threads import Threads
from litestar_queues_core.model import Job
from litestar_queues_core.outcome import Ending, Outcome
from litestar_queues_core.protocols import Serializer
from litestar_queues_core.requests import decode_arguments

RETURNED = Ending.RETURNED


class LocalExecutor:
    """Runs async tasks on the worker's loop, and sync ones in its threads.

    Args:
        serializer: Decodes arguments.
        dependencies: Provides parameters that were not given at enqueue.
        threads: How many threads sync tasks may use.
    """

    def __init__(
        self, *, serializer: Serializer, dependencies: DependencyProvider | None, threads: int
    ) -> None:
        self._serializer = serializer
        self._dependencies = dependencies
        self._threads = Threads(threads)

    async def run(self, job: Job, context: TaskExecutionContext) -> Outcome:
        """Run one attempt to its end; return only once its code has stopped."""
        task = context.definition
        try:
            args, kwargs = self._arguments(job, context)
        except PayloadError as error:
            return Outcome(ending=Ending.INVALID, error=error)
        try:
            if self._dependencies is not None and self._dependencies.names(task):
                value = await self._call_provided(args, kwargs, context)
            elif task.is_async:
                value = await task.function(*args, **kwargs)
            else:
                value = await self._call_sync(args, kwargs, context)
        except asyncio.CancelledError as error:
            ending = Ending.STOPPED if context.stopping else Ending.RAISED
            return Outcome(ending=ending, error=error)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  (SystemExit too ends the task only)
            return Outcome(ending=Ending.RAISED, error=error)
        return Outcome(RETURNED, value)

    def close(self) -> None:
        """Let idle threads end."""
        self._threads.close()

    def _arguments(
        self, job: Job, context: TaskExecutionContext
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        task = context.definition
        args, kwargs = decode_arguments(task, job.new.payload, self._serializer)
        if task.wants_job_id:
            kwargs["_job_id"] = job.id
        if task.wants_context:
            kwargs["_task_context"] = context
        return args, kwargs

    async def _call_provided(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], context: TaskExecutionContext
    ) -> object:
        task = context.definition
        if self._dependencies is None:
            raise AssertionError("asked for only if there are dependencies")
        async with self._dependencies.open(task, context) as provided:
            every = {**provided, **kwargs}
            if task.is_async:
                return await task.function(*args, **every)
            return await self._call_sync(args, every, context)

    async def _call_sync(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], context: TaskExecutionContext
    ) -> object:
        task = context.definition
        if not task.sync_to_thread:
            return task.function(*args, **kwargs)
        variables = contextvars.copy_context()
        variables.run(context.enter)
        call = partial(variables.run, task.function, *args, **kwargs)
        return await self._threads.run(call, context.stop)
