"""SQL as MySQL and MariaDB speak it.

Texts are kept as bytes: no collation of the server or of the database has a say in which of them
are equal, and none pads them with spaces.
"""

from __future__ import annotations

import re

from litestar_queues_sql.browse import COUNT_READY
from litestar_queues_sql.database import Dialect
from litestar_queues_sql.keys import HOLDERS
from litestar_queues_sql.schema import HISTORY, HISTORY_INDEX, JOB, JOB_INDEXES, OTHERS
from litestar_queues_sql.script import Sql

CLOCK = "SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(3)) DIV 1000"

_NOTHING = "DO 0"
_KEYS, _KEYS_INDEX, _LEASE, _ANSWER, _, _, _, _STATE, _SIGNAL = OTHERS


def _with(table: Sql, *keys: str) -> str:
    """Return the text that makes a table, with its indexes: there are none with a condition."""
    columns, _, end = table.text.rpartition(")")
    return f"{columns}, {', '.join(keys)}){end}"


_OVERRIDES = {
    JOB: _with(
        JOB,
        "KEY ready (status, lane, job_rank, due_ms, id)",
        "KEY due (status, due_ms, lane)",
        "KEY held (lease)",
        "KEY expiry (expires_ms)",
    ),
    **dict.fromkeys(JOB_INDEXES, _NOTHING),
    HISTORY: _with(HISTORY, "KEY ended (status, id)"),
    HISTORY_INDEX: _NOTHING,
    _KEYS: _with(_KEYS, "KEY frees (frees_ms)"),
    _KEYS_INDEX: _NOTHING,
    _LEASE: _LEASE.text.replace("about $text", "about $bytes"),
    _ANSWER: _ANSWER.text.replace("lists $text", "lists $bytes"),
    _STATE: f"{_STATE.text} ON DUPLICATE KEY UPDATE name = name",
    HOLDERS: f"{HOLDERS.text} LOCK IN SHARE MODE",
    COUNT_READY: "SELECT lane, count(*) FROM $job WHERE status = 0 AND ? > 0 GROUP BY lane",
}
"""Tables are made one by one, and each is there at once: so whoever died in between can go on.  Who
holds a key is read as it is now, not as it was when a transaction of the application began.  A
derived table cannot refer to others, so the numbers of waiting jobs have no cap."""

_PRIMARY = "FORCE INDEX (PRIMARY)"
_BY_KEY = (
    (r"\bFROM (\w+(?:job|unique_key)) WHERE (id|name) IN", rf"FROM \1 {_PRIMARY} WHERE \2 IN"),
    (r"^DELETE FROM (\w+) FORCE", r"DELETE FROM \1 USING \1 FORCE"),
    (r"^UPDATE (\w+job) (SET .* WHERE id IN)", rf"UPDATE \1 {_PRIMARY} \2"),
    (r"\bCROSS JOIN (\w+job) AS job WHERE", rf"STRAIGHT_JOIN \1 AS job {_PRIMARY} WHERE"),
)
"""The planner reads a small table as a whole rather than by many keys, and would then lock all of
it, or wait for whoever has locked a part."""

_ROW = r"\((?:\?, )*\?\)"
_ROWS = re.compile(rf"AS \(VALUES ({_ROW}(?:, {_ROW})*)\)")
_SKIP = "ON CONFLICT DO NOTHING"
_FIRST_COLUMN = re.compile(r"INSERT INTO \w+ \((\w+)")


def spoken(text: str) -> str:
    """Return a finished text as these systems understand it."""
    if text.startswith("CREATE TABLE"):
        columns = text.removeprefix("CREATE TABLE ").removeprefix("IF NOT EXISTS ")
        return f"CREATE TABLE IF NOT EXISTS {columns} ENGINE = InnoDB"
    for pattern, replacement in _BY_KEY:
        text = re.sub(pattern, replacement, text)
    text = _ROWS.sub(lambda found: f"AS ({_selected(found[1])})", text)
    if _SKIP in text:
        first = _FIRST_COLUMN.search(text)
        assert first is not None, text  # noqa: S101
        text = text.replace(_SKIP, f"ON DUPLICATE KEY UPDATE {first[1]} = {first[1]}")
    return text


def _selected(rows: str) -> str:
    """Return rows of values as a query; the ways to write them otherwise differ."""
    selects = rows.replace("), (", " UNION ALL SELECT ")
    return f"SELECT {selects.strip('()')}"


MYSQL = Dialect(
    name="mysql",
    words={
        "id": "VARBINARY(36)",
        "text": "VARBINARY(1020)",
        "int": "INT",
        "big": "BIGINT",
        "bytes": "LONGBLOB",
        "serial": "BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY",
        "clustered": "",
        "among": "IN ?",
        "skip": _SKIP,
        "string": "CHAR",
        "locked": "FOR UPDATE SKIP LOCKED",
        "lock": "ORDER BY id FOR UPDATE",
        "update": "FOR UPDATE",
        "share": "LOCK IN SHARE MODE",
        "place": "id",
        "by_ready": "FORCE INDEX (ready)",
        "by_due": "FORCE INDEX (due)",
        "by_expiry": "FORCE INDEX (expiry)",
    },
    overrides=_OVERRIDES,
    marks=spoken,
)
