"""Events on Litestar channels."""

from __future__ import annotations

import asyncio

from litestar import Litestar
from litestar.channels import ChannelsPlugin
from litestar.channels.backends.memory import MemoryChannelsBackend

from litestar_queues import QueueConfig, QueueEventConfig, QueuePlugin, task
from litestar_queues.backends.memory import MemoryBackendConfig

backend = MemoryChannelsBackend()
channels = ChannelsPlugin(backend, arbitrary_channels_allowed=True)
events = QueueEventConfig(
    enabled=True,
    channels_backend=backend,
    publish_global_lifecycle=True,
)
config = QueueConfig(queue_backend=MemoryBackendConfig(), event_config=events)


@task("files.convert")
async def convert(file: str) -> str:
    return file.upper()


async def main() -> None:
    app = Litestar(plugins=[channels, QueuePlugin(config)])
    async with app.lifespan(), channels.start_subscription("queues:global") as heard:
        result = await convert.enqueue("a.png")
        async for event in heard.iter_events():
            if b'"job.completed"' in event:
                assert result.id.encode() in event
                break


asyncio.run(main())
