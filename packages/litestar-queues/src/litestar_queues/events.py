"""Events: what tasks publish, how an event looks on the wire, and where it can go."""

from __future__ import annotations

from litestar_queues.channels import ChannelsEventSink
from litestar_queues_core.config import EventHistoryConfig, QueueEventConfig
from litestar_queues_core.events import (
    LIFECYCLE,
    InMemoryEventSink,
    encode_event,
    envelope,
    publish_task_event,
    publish_task_log,
    publish_task_progress,
)
from litestar_queues_core.model import Event

__all__ = [
    "LIFECYCLE",
    "ChannelsEventSink",
    "Event",
    "EventHistoryConfig",
    "InMemoryEventSink",
    "QueueEventConfig",
    "encode_event",
    "envelope",
    "publish_task_event",
    "publish_task_log",
    "publish_task_progress",
]
