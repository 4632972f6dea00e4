"""Events onto Litestar channels."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from litestar_queues_core.config import QueueEventConfig
from litestar_queues_core.events import LIFECYCLE, encode_event
from litestar_queues_core.model import Event

if TYPE_CHECKING:
    from litestar.channels import ChannelsBackend, ChannelsPlugin


class ChannelsEventSink:
    """Publishes events, as JSON, on Litestar channels.

    The channels are ``queues:job:<id>``, ``queues:queue:<name>``, ``queues:worker:<name>`` and
    ``queues:global``.

    Args:
        channels: A channels backend, or the plugin that owns one; either must have been started.
        config: Says which of the channels are used.
        prefix: What the names of the channels begin with.
    """

    def __init__(
        self,
        channels: ChannelsBackend | ChannelsPlugin,
        config: QueueEventConfig | None = None,
        *,
        prefix: str = "queues",
    ) -> None:
        # The plugin's publish() only queues, and overtakes nothing that waits for it: one way only.
        name = "wait_published" if hasattr(channels, "wait_published") else "publish"
        self._publish: Callable[[bytes, list[str]], Awaitable[None]] = getattr(channels, name)
        self._config = config or QueueEventConfig()
        self._prefix = prefix

    async def publish(self, events: Sequence[Event]) -> None:
        """Publish *events*, in order."""
        for event in events:
            if names := list(self._names(event)):
                await self._publish(encode_event(event), names)

    def _names(self, event: Event) -> Iterator[str]:
        config = self._config
        if config.publish_task_channel:
            yield f"{self._prefix}:job:{event.job_id}"
        if config.publish_queue_channel:
            yield f"{self._prefix}:queue:{event.queue}"
        if event.worker:
            yield f"{self._prefix}:worker:{event.worker}"
        if config.publish_global_lifecycle and event.type in LIFECYCLE:
            yield f"{self._prefix}:global"
