"""The service that ``task.enqueue()`` means."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING

from litestar_queues_core.errors import NoServiceError

if TYPE_CHECKING:
    from litestar_queues_core.service import QueueService

bound_service: ContextVar[QueueService | None] = ContextVar("bound_service", default=None)
_open: list[QueueService] = []


def service_opened(service: QueueService) -> None:
    """Let *service* be found by everything in this process."""
    _open.append(service)


def service_closed(service: QueueService) -> None:
    """Let *service* be found no more."""
    _open.remove(service)


def current_service() -> QueueService:
    """Return the service of the running task, or else the one opened last.

    Among several open ones, one that belongs to the running event loop comes first.

    Raises:
        NoServiceError: None is open; a task is never run inline instead.
    """
    bound = bound_service.get()
    if bound is not None:
        return bound
    if not _open:
        raise NoServiceError(
            "no queue service is open here: start the application (or 'async with "
            "QueueService(config)') first, or call enqueue() of a service you hold"
        )
    loop = asyncio._get_running_loop()
    ours = [service for service in _open if service.loop is loop]
    return (ours or _open)[-1]
