"""Litestar's dependencies for the parameters of tasks."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from litestar_queues.provision import GIVEN, Dependency, Provision
from litestar_queues_core.context import TaskExecutionContext
from litestar_queues_core.requests import FORMAT
from litestar_queues_core.task import Task

if TYPE_CHECKING:
    from litestar import Litestar

logger: logging.Logger = logging.getLogger("litestar_queues.dependencies")


class TaskDependencies:
    """Provides the parameters of tasks that are called like dependencies of the application.

    A dependency that needs what only a request has, at any depth, is left out: such a parameter
    is given at enqueue.  Each attempt has values of its own, made one after the other and torn
    down in reverse before the attempt settles.  Generators go on, or see the attempt's error;
    SQLAlchemy sessions are committed, or rolled back if the attempt failed.

    Args:
        app: The application; the dependencies of its routers and handlers do not count.
    """

    def __init__(self, app: Litestar) -> None:
        self._app = app
        self._dependencies: dict[str, Dependency] = {}
        self._names: dict[int, tuple[object, frozenset[str]]] = {}

    def names(self, task: Task[..., Any]) -> frozenset[str]:
        """Return the parameters of *task* that need not be given when it is enqueued."""
        known = self._names.get(id(task.function))
        if known is None:
            found = frozenset(name for name in self._shared(task) if not self._lacking(name))
            # The function is kept with its names, so that its id is not given to another.
            known = self._names[id(task.function)] = (task.function, found)
        return known[1]

    @asynccontextmanager
    async def open(
        self, task: Task[..., Any], context: TaskExecutionContext
    ) -> AsyncGenerator[Mapping[str, object]]:
        """Make the values for one attempt, except of what was given at enqueue."""
        names = self.names(task).difference(_given(context))
        async with AsyncExitStack() as stack:
            provision = Provision(self._app, self._dependency, self._lacking, stack)
            yield {name: await provision.value(name) for name in sorted(names)}

    def warn(self, tasks: Iterable[Task[..., Any]]) -> None:
        """Log which parameters of *tasks* are called like a dependency that cannot be provided."""
        for task in tasks:
            for name in self._shared(task):
                lacking = self._lacking(name)
                if lacking and name not in task.signature.defaults:
                    logger.warning(
                        "the parameter %r of task %r is not provided and must be given at "
                        "enqueue: the dependency of that name needs %r, which only a request has",
                        name,
                        task.name,
                        lacking,
                    )

    def _shared(self, task: Task[..., Any]) -> list[str]:
        return [name for name in self._app.dependencies if task.has_parameter(name)]

    def _dependency(self, name: str) -> Dependency | None:
        if name not in self._dependencies and name in self._app.dependencies:
            self._dependencies[name] = Dependency(self._app.dependencies[name])
        return self._dependencies.get(name)

    def _lacking(self, name: str, above: frozenset[str] = frozenset()) -> str | None:
        """Return what *name* needs, or is, that cannot be had without a request."""
        dependency = self._dependency(name)
        if dependency is None:
            return None if name in GIVEN else name
        if name in above:
            return name
        below = (self._lacking(needed, above | {name}) for needed in dependency.required)
        return next((lacking for lacking in below if lacking), None)


def _given(context: TaskExecutionContext) -> Iterable[str]:
    """Return the names of the arguments that came with the job."""
    payload = context.job.new.payload.removeprefix(FORMAT)
    return cast("Mapping[str, object]", context.service.serializer.loads(payload))
