"""The tables of the queue."""

from __future__ import annotations

from sqlspec.migrations.context import MigrationContext

from litestar_queues_sqlspec import migrating


async def up(context: MigrationContext) -> list[str]:
    """Return what makes them, unless they are there."""
    return await migrating.up(context, 1)


async def down(context: MigrationContext) -> list[str]:
    """Return what removes them, with all jobs."""
    return migrating.down(context)
