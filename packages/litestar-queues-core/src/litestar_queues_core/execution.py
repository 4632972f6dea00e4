"""What an executor provides: a place where attempts run.  Implement these; inherit nothing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from litestar_queues_core.model import Job

if TYPE_CHECKING:
    from litestar_queues_core.context import TaskExecutionContext
    from litestar_queues_core.outcome import Outcome
    from litestar_queues_core.remote import RemoteCancel, RemoteState


class Executor(Protocol):
    """Where an attempt runs."""

    async def run(self, job: Job, context: TaskExecutionContext) -> Outcome:
        """Run one attempt to its end.

        Cancelling this call stops the attempt's code, and it returns or raises only once that
        code has stopped.
        """
        ...


class ExecutionConfig(Protocol):
    """What a user writes to choose where tasks run, besides the worker itself."""

    @property
    def name(self) -> str:
        """What tasks call it in ``execution_backend``."""
        ...

    def open(self) -> AbstractAsyncContextManager[Executor | RemoteExecutor]:
        """Open the executor for the life of a worker."""
        ...


@runtime_checkable
class RemoteExecutor(Protocol):
    """Starts attempts elsewhere, where they claim the job themselves by id and token."""

    async def dispatch(self, job: Job, token: str) -> str:
        """Start it and return a reference.

        Raises:
            DispatchRefused: It was definitely not started.  Any other error means "unknown".
        """
        ...

    async def inspect(self, refs: Sequence[str]) -> Sequence[RemoteState]:
        """Say what became of each."""
        ...

    async def cancel(self, ref: str) -> RemoteCancel:
        """Ask for its end."""
        ...
