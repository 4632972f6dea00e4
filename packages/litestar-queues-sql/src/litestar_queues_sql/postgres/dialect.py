"""SQL as PostgreSQL speaks it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import count
from string import Template

from litestar_queues_sql.database import NO_HINTS, Dialect
from litestar_queues_sql.events import APPEND
from litestar_queues_sql.script import Sql

NOW_MS = "floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
CLOCK = f"SELECT {NOW_MS}"

TYPES = {"id": "text", "text": "text", "int": "integer", "big": "bigint", "bytes": "bytea"}

TUNING = (
    Sql("""
        ALTER TABLE $job SET (
            fillfactor = 70,
            vacuum_truncate = off,
            autovacuum_vacuum_scale_factor = 0.01,
            autovacuum_vacuum_threshold = 1000,
            autovacuum_vacuum_cost_delay = 0,
            autovacuum_analyze_scale_factor = 0.1
        )
    """),
    Sql("""
        ALTER TABLE $history SET (
            vacuum_truncate = off,
            autovacuum_vacuum_insert_scale_factor = 0.05,
            autovacuum_vacuum_scale_factor = 0.05
        )
    """),
    Sql("ALTER TABLE $unique_key SET (vacuum_truncate = off)"),
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

_FILLER = """
    SELECT -number, 'filler ' || number, decode(repeat('00', 1500), 'hex')
    FROM generate_series(1, 300) AS numbers (number)
"""
PADDING = (
    Sql(
        """
        INSERT INTO $job (job_rank, id, payload, status, lane, due_ms, enqueued_ms, spec)
        SELECT *, 0, '', 0, 0, '' FROM ($filler) AS filler
        """,
        filler=_FILLER,
    ),
    Sql("DELETE FROM $job WHERE id LIKE 'filler %'"),
    Sql(
        """
        INSERT INTO $history (
            seq, id, payload, status, finished_ms, lane, due_ms, delivery, attempt, rescues,
            snoozes, put_backs, enqueued_ms, spec
        )
        OVERRIDING SYSTEM VALUE SELECT *, 4, 0, '', 0, 0, 0, 0, 0, 0, 0, '' FROM ($filler) AS filler
        """,
        filler=_FILLER,
    ),
    Sql("DELETE FROM $history WHERE id LIKE 'filler %'"),
    Sql("""
        INSERT INTO $unique_key (name, job, task)
        SELECT 'filler ' || number, repeat(' ', 1500), ''
        FROM generate_series(1, 300) AS numbers (number)
    """),
    Sql("DELETE FROM $unique_key WHERE name LIKE 'filler %'"),
)
"""Half a megabyte of room in each table that grows, which stays.  The plan of a statement outlives
the state in which a table was when it was made; made for a table of a page, it would read all of a
million rows a minute later."""

GUARD = Sql("LOCK TABLE $schema IN SHARE ROW EXCLUSIVE MODE")


def numbered(text: str) -> str:
    """Return a text whose ``?`` have become ``$1``, ``$2``, ..."""
    numbers = count(1)
    return re.sub(r"\?", lambda _: f"${next(numbers)}", text)


def unnested(types: Sequence[str]) -> str:
    """Return the query for rows that come as one list for each column."""
    return _UNNEST.substitute(lists=", ".join(f"?::{TYPES[one]}[]" for one in types))


_APPEND = """
    INSERT INTO $event (job, delivery, sequence, type, task, queue, level, stored_ms, body)
    SELECT job, delivery, sequence, type, task, queue, level, stored_ms, body FROM (
        SELECT *, row_number() OVER () AS place FROM ($rows) AS given (
            job, delivery, sequence, type, task, queue, level, stored_ms, body
        )
    ) AS new
    WHERE NOT EXISTS (
        SELECT 1 FROM $event AS old
        WHERE (old.job, old.delivery, old.sequence) = (new.job, new.delivery, new.sequence)
    )
    ORDER BY place $skip
"""
"""An event that is kept already takes no number: readers wait for those that are missing."""

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
        **NO_HINTS,
    },
    marks=numbered,
    rows=unnested,
    overrides={APPEND: _APPEND},
    additions={1: (*TUNING, *PADDING)},
)
