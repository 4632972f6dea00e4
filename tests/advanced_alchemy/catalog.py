"""What the server says of the tables of a database."""

from __future__ import annotations

from typing import Any

from tests.databases.postgres import Database

_COLUMNS = """
    SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
        pg_get_expr(d.adbin, d.adrelid), k.collname, a.attnum, a.attstorage::text
    FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
    LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    LEFT JOIN pg_collation AS k ON k.oid = a.attcollation
    WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0
    ORDER BY c.relname, a.attnum
"""
_INDEXES = """
    SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2
"""
_CONSTRAINTS = """
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2
"""
_OPTIONS = """
    SELECT relname, relkind::text, relpersistence::text, reloptions FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S', 'i') ORDER BY 1
"""


def catalog(database: Database, *, prefix: str = "litestar_queues_") -> dict[str, list[Any]]:
    """Return everything about the tables of the queue, for comparison."""

    def ours(statement: str) -> list[Any]:
        return [row for row in database.ask(statement) if row[0].startswith(prefix)]

    return {
        "columns": ours(_COLUMNS),
        "indexes": ours(_INDEXES),
        "constraints": ours(_CONSTRAINTS),
        "options": ours(_OPTIONS),
        "version": database.ask(f"SELECT * FROM {prefix}schema"),  # noqa: S608
        "state": database.ask(f"SELECT * FROM {prefix}state ORDER BY name"),  # noqa: S608
        "room": database.ask(f"SELECT pg_relation_size('{prefix}job') > 100000"),
    }
