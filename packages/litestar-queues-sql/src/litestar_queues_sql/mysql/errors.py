"""What the errors of MySQL and MariaDB mean to a queue."""

from __future__ import annotations

from litestar_queues_core.errors import (
    ConfigError,
    QueueError,
    SchemaError,
    StoreError,
    StoreUnavailable,
)
from litestar_queues_sql.database import DataRefused
from litestar_queues_sql.server import REFUSALS

CONFLICTS = frozenset({"1213", "3572", "1020"})
"""Deadlocks; rows that somebody else has locked or changed in between."""

_GONE = range(2000, 3000)
"""Errors of the driver: the connection is no longer what it was."""
_ENDED = frozenset({1053, 1080, 1152, 1158, 1159, 1160, 1161, 1184, 1927, 3024, 4031})
"""The server has ended the connection, or will."""

_LOCK = 1205
_VALUE = "the database cannot hold a value"
_CREATE = "open the store once with create_schema=True, or run your migrations"
_FIXES: dict[int, tuple[type[QueueError], str]] = {
    1040: (StoreUnavailable, "the server has no connections left: lower the size of pools"),
    1044: (ConfigError, "grant the user of the queue what it needs on this database"),
    1045: (ConfigError, "the user or the password is wrong"),
    1049: (ConfigError, "there is no such database: create it, or name another"),
    1142: (ConfigError, "grant the user of the queue what it needs on the queue's tables"),
    1046: (ConfigError, "no database is named: add it to the configuration"),
    1054: (SchemaError, f"a table of the queue is of another version: {_CREATE}"),
    1146: (SchemaError, f"a table of the queue is missing: {_CREATE}"),
    1176: (
        SchemaError,
        "an index of the queue is missing: 'litestar queues check' says how to make it anew",
    ),
    1203: (StoreUnavailable, "the user has no connections left: lower the size of pools"),
    1227: (ConfigError, "grant the user of the queue what it needs"),
    1226: (StoreUnavailable, "the user has used up what the server allows"),
    1021: (StoreUnavailable, "the server's disk is full: make room"),
    1114: (StoreUnavailable, "the server's disk is full: make room"),
    1213: (StoreUnavailable, "the transaction met others again and again"),
    1290: (StoreUnavailable, "the server only lets read: it may be a replica"),
    1665: (ConfigError, "set binlog_format to ROW or MIXED on the server"),
    1792: (StoreUnavailable, "the server only lets read: it may be a replica"),
    1836: (StoreUnavailable, "the server only lets read: it may be a replica"),
    1969: (StoreUnavailable, "the statement took too long"),
    1048: (DataRefused, _VALUE),
    1062: (DataRefused, _VALUE),
    1153: (DataRefused, "the server takes no packet of that size: raise max_allowed_packet"),
    1264: (DataRefused, _VALUE),
    1300: (DataRefused, _VALUE),
    1366: (DataRefused, _VALUE),
    1406: (DataRefused, _VALUE),
    1690: (DataRefused, _VALUE),
}


class LockTimeout(StoreUnavailable):
    """Somebody else has locked a row for too long; nothing was written."""


def code_of(error: BaseException) -> str | None:
    """Return the code of an error which the server has answered on a connection that lives on."""
    number = _number_of(error)
    if number is None or number in _GONE or number in _ENDED or number == 0:
        return None
    return str(number)


def _number_of(error: BaseException) -> int | None:
    """Return the number of a driver's error."""
    if not error.args:
        return None
    named = any(kind.__name__ == "MySQLError" for kind in type(error).__mro__)
    number = error.args[0]
    return number if named and isinstance(number, int) else None


def translated(error: BaseException, refusals: tuple[type[BaseException], ...] = ()) -> QueueError:
    """Return the error that tells a caller what a driver's *error* means, and what to do."""
    if isinstance(error, QueueError):
        return error
    made = _translated(error, refusals)
    made.__cause__ = error
    return made


def _translated(error: BaseException, refusals: tuple[type[BaseException], ...]) -> QueueError:
    number = _number_of(error)
    said = f"{type(error).__name__}: {error}"
    if number is None and isinstance(error, (*REFUSALS, *refusals)):
        return DataRefused(f"{_VALUE}: {said}")
    if number == _LOCK:
        return LockTimeout(f"MySQL: somebody else has locked what is needed: {error}")
    if number in _FIXES:
        kind, fix = _FIXES[number]
        return kind(f"MySQL: {error}; {fix}")
    if isinstance(error, RuntimeError) and "cryptography" in str(error):
        return ConfigError(
            f"MySQL: {error}: install it, or connect with TLS, which needs no such encryption"
        )
    if code_of(error) is None:
        return StoreUnavailable(f"MySQL cannot be reached or did not answer: {said}")
    return StoreError(f"MySQL: {error}; unforeseen")
