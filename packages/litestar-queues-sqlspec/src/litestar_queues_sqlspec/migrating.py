"""Our tables as migrations of SQLSpec: ``litestar db upgrade`` makes them, with the user's own."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import isawaitable
from typing import Any

from sqlspec.migrations.context import MigrationContext

from litestar_queues_core.errors import ConfigError
from litestar_queues_sql.database import Texts
from litestar_queues_sql.migrating import removal, step_to
from litestar_queues_sqlspec.adapters import System, adapter_of

NAME = "queues"
"""Each step is recorded as ``ext_queues_0001``; so this must never change."""

_IS_THERE: dict[System, str] = {
    "postgres": "SELECT count(*) FROM pg_catalog.pg_class WHERE oid = to_regclass('{table}')",
    "sqlite": "SELECT count(*) FROM sqlite_master WHERE name = '{table}'",
    "mysql": (
        "SELECT count(*) FROM information_schema.tables "
        "WHERE table_schema = DATABASE() AND table_name = '{table}'"
    ),
}


def register(config: Any, prefix: str) -> None:
    """Let the migration commands of a configuration make the tables with *prefix*, too."""
    settings: dict[str, Any] = config.extension_config.get(NAME) or {}
    prefixes = sorted({*settings.get("prefixes", ()), prefix})
    config.add_extension_migrations(
        NAME, "litestar_queues_sqlspec:migrations", {"prefixes": prefixes}
    )


async def up(context: MigrationContext, version: int) -> list[str]:
    """Return what leads to a schema version, for all tables that have not got there."""
    made: list[str] = []
    for texts in _tables(context):
        if await _version(context, texts) < version:
            made += step_to(version, texts)
    return made


def down(context: MigrationContext) -> list[str]:
    """Return what removes all tables, with all jobs."""
    return [one for texts in _tables(context) for one in removal(texts)]


def _tables(context: MigrationContext) -> Iterator[Texts]:
    dialect = adapter_of(context.config).dialect
    prefixes: list[str] = (context.extension_config or {}).get("prefixes") or []
    if not prefixes:
        raise ConfigError(
            "the migrations of the queue were registered by hand; SQLSpecBackendConfig(config=...) "
            "does that, and must be made before the migration commands are"
        )
    return (Texts(dialect, prefix) for prefix in prefixes)


async def _version(context: MigrationContext, texts: Texts) -> int:
    """Return the version of the tables; 0 if there are none."""
    table = f"{texts.prefix}schema"
    if not await _ask(context, _IS_THERE[adapter_of(context.config).system].format(table=table)):
        return 0
    return await _ask(context, f"SELECT coalesce(max(version), 0) FROM {table}")  # noqa: S608


async def _ask(context: MigrationContext, text: str) -> int:
    driver: Any = context.driver
    if driver is None:  # only the statements are asked for, without a database
        return 0
    answer = driver.select_value(text)
    return int(await answer if isawaitable(answer) else answer)
