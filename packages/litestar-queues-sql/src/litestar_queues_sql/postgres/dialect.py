"""SQL as PostgreSQL speaks it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import count
from string import Template

from litestar_queues_sql.database import Dialect
from litestar_queues_sql.script import Sql

NOW_MS = "floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
CLOCK = f"SELECT {NOW_MS}"

TYPES = {"id": "text", "text": "text", "int": "integer", "big": "bigint", "bytes": "bytea"}

TUNING = (
    Sql("""
        ALTER TABLE $job SET (
            fillfactor = 70,
            autovacuum_vacuum_scale_factor = 0.01,
            autovacuum_vacuum_threshold = 1000,
            autovacuum_vacuum_cost_delay = 0,
            autovacuum_analyze_scale_factor = 0.1
        )
    """),
    Sql("""
        ALTER TABLE $history SET (
            autovacuum_vacuum_insert_scale_factor = 0.05,
            autovacuum_vacuum_scale_factor = 0.05
        )
    """),
    Sql("ALTER TABLE $lease SET (fillfactor = 50, autovacuum_vacuum_threshold = 100)"),
    Sql("""
        ALTER TABLE $answer SET (
            fillfactor = 50,
            autovacuum_vacuum_scale_factor = 0,
            autovacuum_vacuum_threshold = 500,
            autovacuum_vacuum_cost_delay = 0
        )
    """),
)
"""Room for new versions of a row beside the old one, and a vacuum that comes early."""

_UNNEST = Template("SELECT * FROM unnest($lists)")

GUARD = Sql("LOCK TABLE $schema IN SHARE ROW EXCLUSIVE MODE")


def numbered(text: str) -> str:
    """Return a text whose ``?`` have become ``$1``, ``$2``, ..."""
    numbers = count(1)
    return re.sub(r"\?", lambda _: f"${next(numbers)}", text)


def unnested(types: Sequence[str]) -> str:
    """Return the query for rows that come as one list for each column."""
    return _UNNEST.substitute(lists=", ".join(f"?::{TYPES[one]}[]" for one in types))


POSTGRES = Dialect(
    name="postgres",
    words={
        **TYPES,
        "id": 'text COLLATE "C"',
        "text": 'text COLLATE "C"',
        "string": "text",
        "serial": "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        "clustered": "",
        "among": "= ANY(?)",
        "skip": "ON CONFLICT DO NOTHING",
        "locked": "FOR UPDATE SKIP LOCKED",
        "lock": "ORDER BY id FOR UPDATE",
        "update": "FOR UPDATE",
        "share": "FOR SHARE",
        "place": "id",
    },
    marks=numbered,
    rows=unnested,
    additions={1: TUNING},
)
