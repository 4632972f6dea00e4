"""SQL as SQLite speaks it."""

from __future__ import annotations

from litestar_queues_sql.database import NO_HINTS, Dialect

SQLITE = Dialect(
    name="sqlite",
    words={
        "id": "TEXT",
        "text": "TEXT",
        "int": "INTEGER",
        "big": "INTEGER",
        "bytes": "BLOB",
        "serial": "INTEGER PRIMARY KEY AUTOINCREMENT",
        "clustered": "WITHOUT ROWID",
        "among": "IN (SELECT value FROM json_each(?))",
        "skip": "ON CONFLICT DO NOTHING",
        "string": "TEXT",
        "locked": "",
        "lock": "",
        "update": "",
        "share": "",
        "place": "rowid",
        **NO_HINTS,
    },
)
