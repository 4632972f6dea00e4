"""Enqueueing once a response has been sent."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from litestar.background_tasks import BackgroundTask

from litestar_queues_core.current import current_service
from litestar_queues_core.task import Task

logger: logging.Logger = logging.getLogger("litestar_queues.background")


class QueuedBackgroundTask(BackgroundTask):
    """Enqueues a job once the response is sent: ``background=QueuedBackgroundTask(task, 1)``.

    The client neither waits for the store nor hears whether it took the job; a failure is logged
    as an error.  What must not be lost is enqueued in the handler, with ``await``.

    Args:
        task: The task, perhaps with ``using(...)``, or its name.
        *args: Its arguments.
        **kwargs: Its arguments, and options as ``QueueService.enqueue`` takes them.
    """

    __slots__ = ()

    def __init__(self, task: Task[..., Any] | str, /, *args: Any, **kwargs: Any) -> None:
        super().__init__(partial(_enqueue, task, args, kwargs))


async def _enqueue(
    task: Task[..., Any] | str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> None:
    try:
        await current_service().enqueue(task, *args, **kwargs)
    except Exception:
        name = task if isinstance(task, str) else task.name
        logger.exception("the response was sent, but no job of task %r was enqueued", name)
