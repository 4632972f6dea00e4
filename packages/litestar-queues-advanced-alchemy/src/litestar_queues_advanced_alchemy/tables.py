"""The tables of the queue in the metadata of an application."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import MetaData, Table

from litestar_queues_advanced_alchemy.definitions import make_tables, mark_of
from litestar_queues_advanced_alchemy.migrations import complete
from litestar_queues_advanced_alchemy.systems import system_of
from litestar_queues_core.errors import ConfigError
from litestar_queues_sql.database import PREFIX, TABLES


def queue_tables(
    metadata: MetaData,
    *,
    prefix: str = PREFIX,
    schema: str | None = None,
    dialect: str = "postgresql",
) -> Mapping[str, Table]:
    """Put the tables of the queue into *metadata*, unless they are there, and return them.

    :class:`~litestar_queues_advanced_alchemy.AdvancedAlchemyBackendConfig` does it for the metadata
    of its configuration.  Call this before, if the tables are to be in another schema.

    Args:
        metadata: Where to put them: ``metadata_registry.get(bind_key)``, or ``Base.metadata``.
        prefix: What their names begin with.
        schema: The database schema they belong to; the ``search_path`` of the application's
            connections must lead to it.
        dialect: What SQLAlchemy calls the database system: types and indexes differ.

    Raises:
        ConfigError: The metadata has a table of that name, which is not the queue's.
    """
    there: dict[str, Table] = {}
    for table in metadata.tables.values():
        name = table.name.removeprefix(prefix)
        if table.name != prefix + name or name not in TABLES:
            continue
        mark = mark_of(table)
        if mark is None or mark.prefix != prefix:
            raise ConfigError(
                f"your metadata has a table {table.name!r}, and so has the queue: give yours "
                "another name, or those of the queue another prefix"
            )
        there[name] = table
    if not there:
        there = make_tables(metadata, prefix, schema, system_of(dialect))
        complete(metadata, there["schema"])
    return there
