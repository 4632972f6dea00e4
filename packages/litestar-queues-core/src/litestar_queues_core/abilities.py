"""Asking a store for an ability."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from litestar_queues_core.config import QueueConfig
from litestar_queues_core.errors import MissingAbilityError
from litestar_queues_core.protocols import Store, SupportsEventLog, SupportsSchedules

if TYPE_CHECKING:
    from litestar_queues_core.task import Task

T = TypeVar("T")


def require(store: Store, ability: type[T], option: str) -> T:
    """Return *store* as one that has *ability*.

    Raises:
        MissingAbilityError: It has not; the message names *option*.
    """
    if not isinstance(store, ability):
        raise MissingAbilityError(option, ability=ability.__name__, store=type(store).__name__)
    return cast(T, store)


def check_abilities(store: Store, config: QueueConfig, tasks: Iterable[Task[..., Any]]) -> None:
    """Check that *store* can do what the settings and *tasks* ask for.

    Raises:
        MissingAbilityError: It cannot.
    """
    events = config.event_config
    if events is not None and events.enabled and events.history is not None:
        require(store, SupportsEventLog, "QueueEventConfig.history")
    if config.initialize_schedules:
        for task in tasks:
            if task.schedule is not None:
                option = "cron=" if task.schedule.cron else "interval="
                require(store, SupportsSchedules, f"{option} of task {task.name!r}")
