"""Asking a store for an ability."""

from __future__ import annotations

from typing import TypeVar, cast

from litestar_queues_core.config import QueueConfig
from litestar_queues_core.errors import MissingAbilityError
from litestar_queues_core.protocols import Store, SupportsEventLog

T = TypeVar("T")


def require(store: Store, ability: type[T], option: str) -> T:
    """Return *store* as one that has *ability*.

    Raises:
        MissingAbilityError: It has not; the message names *option*.
    """
    if not isinstance(store, ability):
        raise MissingAbilityError(option, ability=ability.__name__, store=type(store).__name__)
    return cast(T, store)


def check_abilities(store: Store, config: QueueConfig) -> None:
    """Check that *store* can do what the settings ask for.

    Raises:
        MissingAbilityError: It cannot.
    """
    events = config.event_config
    if events is not None and events.enabled and events.history is not None:
        require(store, SupportsEventLog, "QueueEventConfig.history")
