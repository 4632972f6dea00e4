"""Running attempts in processes, where CPU-bound code has a core and can be killed."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from litestar_queues_core.config import Seconds, name, seconds, whole
from litestar_queues_core.context import TaskExecutionContext
from litestar_queues_core.errors import ConfigError
from litestar_queues_core.executors.child import MAIN, Importing
from litestar_queues_core.executors.messages import Header, job_facts
from litestar_queues_core.executors.subprocesses import Child
from litestar_queues_core.model import Job
from litestar_queues_core.outcome import Ending, Outcome


@dataclass(kw_only=True, slots=True)
class ProcessExecutionConfig:
    """Runs tasks in processes of the worker's own: ``@task(execution_backend="process")``.

    For CPU-bound code: it has a core to itself, a timeout or a cancel kills it with everything it
    has started, and a crash fails one attempt and harms nothing else.  A process is started when
    it is first needed, imports the task's module and ``QueueConfig.task_modules``, and runs one
    attempt after the other.

    Such a task can publish progress, logs and events and raise ``Retry``, ``Snooze``, ``Discard``
    and ``Cancel``.  It has no queue service, no ``state`` and no injected dependencies.  Hooks of
    the worker run in the worker, and see ``outcome.encoded`` instead of ``outcome.value``.

    Attributes:
        processes: How many attempts run at the same time; by default as many as there are cores.
            Others wait in the worker, which takes up its ``concurrency`` and counts towards their
            timeout: give such tasks a queue with as much ``queue_concurrency``.
        name: What tasks call it in ``execution_backend``.
        start_timeout: Seconds a process may take to start, before it imports anything of yours.
    """

    processes: int | None = None
    name: str = "process"
    start_timeout: Seconds = 30.0

    def __post_init__(self) -> None:
        name(self.name, "ProcessExecutionConfig.name")
        if self.processes is not None:
            whole(self.processes, "ProcessExecutionConfig.processes", least=1, most=1000)
        self.start_timeout = seconds(
            self.start_timeout, "ProcessExecutionConfig.start_timeout", least=0.1
        )

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[ProcessExecutor]:
        """Open the executor; at the end none of its processes is left.

        Raises:
            ConfigError: This is a process that is importing the script which opens it.
        """
        if Importing.now:
            raise ConfigError(
                "a process for tasks is importing this script, which starts a worker: "
                "put what starts it under  if __name__ == '__main__':"
            )
        executor = ProcessExecutor(
            processes=self.processes or os.cpu_count() or 1,
            start_timeout=seconds(self.start_timeout, "ProcessExecutionConfig.start_timeout"),
        )
        try:
            yield executor
        finally:
            await executor.close()


class ProcessExecutor:
    """Runs each attempt in one of at most *processes* child processes."""

    def __init__(self, *, processes: int, start_timeout: float) -> None:
        self._slots = asyncio.Semaphore(processes)
        self._start_timeout = start_timeout
        self._idle: list[Child] = []
        self._children: set[Child] = set()

    async def run(self, job: Job, context: TaskExecutionContext) -> Outcome:
        """Run one attempt to its end; if this call is cancelled, its process is killed first."""
        if injected := _injected(context):
            return Outcome(ending=Ending.INVALID, error=_refusal(job, injected))
        async with self._slots:
            child = self._warm() or await self._start()
            try:
                return await child.attempt(_request(job, context), job.new.payload, context)
            finally:
                if child.alive:
                    self._idle.append(child)
                else:
                    self._children.discard(child)

    async def close(self) -> None:
        """End all processes."""
        await asyncio.gather(*[child.close() for child in self._children])
        self._children.clear()
        self._idle.clear()

    def _warm(self) -> Child | None:
        while self._idle:
            child = self._idle.pop()
            if child.alive:
                return child
            self._children.discard(child)
        return None

    async def _start(self) -> Child:
        child = await Child.start(self._start_timeout)
        self._children.add(child)
        return child


def _injected(context: TaskExecutionContext) -> frozenset[str]:
    provider = context.service.dependencies
    return provider.names(context.definition) if provider is not None else frozenset()


def _refusal(job: Job, injected: frozenset[str]) -> ConfigError:
    return ConfigError(
        f"the task {job.task!r} runs in a process of its own, where {', '.join(sorted(injected))} "
        f"cannot be injected: open what it needs inside the task, or run it with "
        f"execution_backend='local'"
    )


def _request(job: Job, context: TaskExecutionContext) -> Header:
    config = context.service.config
    module = context.definition.module
    inside_script = module == MAIN
    return {
        "task": job.task,
        "modules": [*config.task_modules, *([] if inside_script else [module])],
        "script": getattr(sys.modules[MAIN], "__file__", None) if inside_script else None,
        "job": job_facts(job),
        "worker": context.worker,
        "limit": config.max_payload,
    }
