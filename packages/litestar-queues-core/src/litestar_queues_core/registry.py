"""The tasks of this process, by name."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from litestar_queues_core.errors import DuplicateTaskError, UnknownTaskError

if TYPE_CHECKING:
    from litestar_queues_core.task import Task


class Registry:
    """Task names and their tasks."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task[..., Any]] = {}

    def add(self, task: Task[..., Any]) -> None:
        """Register *task*; the same function from the same place replaces what it was before.

        Raises:
            DuplicateTaskError: Another function has the name.
        """
        known = self._tasks.get(task.name)
        if known is not None and known.place != task.place:
            raise DuplicateTaskError(task.name, first=str(known.place), second=str(task.place))
        self._tasks[task.name] = task

    def get(self, name: str) -> Task[..., Any]:
        """Return the task called *name*.

        Raises:
            UnknownTaskError: There is none; the message suggests names that are alike.
        """
        try:
            return self._tasks[name]
        except KeyError:
            raise UnknownTaskError(name, known=self._tasks) from None

    def __contains__(self, name: object) -> bool:
        return name in self._tasks

    def __iter__(self) -> Iterator[Task[..., Any]]:
        return iter(list(self._tasks.values()))

    def __len__(self) -> int:
        return len(self._tasks)

    @contextmanager
    def restored(self) -> Generator[None]:
        """Forget at the end of the block what was registered in it; for tests."""
        before = dict(self._tasks)
        try:
            yield
        finally:
            self._tasks = before


default_registry: Registry = Registry()
"""Where ``@task`` registers, and where workers look."""
