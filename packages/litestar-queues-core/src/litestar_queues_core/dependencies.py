"""Parameters of tasks that somebody else fills in at run time."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from litestar_queues_core.context import TaskExecutionContext
    from litestar_queues_core.task import Task


class DependencyProvider(Protocol):
    """Knows which parameters of a task it provides, and provides them for one attempt."""

    def names(self, task: Task[..., Any]) -> frozenset[str]:
        """Return the parameters of *task* that need not be given when it is enqueued."""
        ...

    def open(
        self, task: Task[..., Any], context: TaskExecutionContext
    ) -> AbstractAsyncContextManager[Mapping[str, object]]:
        """Make the values for one attempt.

        The context is left as the attempt's code was, with its error or without, and before the
        attempt settles; an error on leaving fails the attempt.
        """
        ...
