"""What PostgreSQL's errors mean to a queue."""

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

CONFLICTS = frozenset({"40001", "40P01"})
UNIQUE = "23505"
_LOCK = "55P03"
_CREATE = (
    "open the store once with create_schema=True as a role that may create tables, or run your "
    "migrations; if the tables are there, the role's search_path does not lead to them"
)
FORGOTTEN = frozenset({"26000", "42P05"})
"""A prepared statement is not where it was, or is where it was not."""
FORGETS = (
    "let the driver prepare none: driver_features={'pooler_mode': 'transaction'} of SQLSpec does "
    "it, as do statement_cache_size=0 of asyncpg and prepare_threshold=None of psycopg; or let the "
    "pooler keep them, as pgbouncer 1.21 does with max_prepared_statements"
)
_FIXES: dict[str, tuple[type[QueueError], str]] = {
    **dict.fromkeys(FORGOTTEN, (StoreError, f"behind a pooler of transactions {FORGETS}")),
    "42501": (ConfigError, "grant the role of the queue what it needs on the queue's tables"),
    "42P01": (SchemaError, f"a table of the queue is missing: {_CREATE}"),
    "42703": (SchemaError, f"a table of the queue is of another version: {_CREATE}"),
    "3F000": (ConfigError, "there is no schema to put the tables in: set the role's search_path"),
    "28P01": (ConfigError, "the password is wrong"),
    "28000": (ConfigError, "the server does not let this role in: look at its pg_hba.conf"),
    "3D000": (ConfigError, "there is no such database: create it, or name another"),
    "25006": (StoreUnavailable, "the server only lets read: it may be a standby"),
    "53300": (StoreUnavailable, "the server has no connections left: lower the size of pools"),
    "53100": (StoreUnavailable, "the server's disk is full: make room"),
    "57014": (StoreUnavailable, "the statement took too long"),
}
_CLASSES: dict[str, tuple[type[QueueError], str]] = {
    "22": (DataRefused, "the database cannot hold a value"),
    "23": (DataRefused, "the database cannot hold a value"),
    "54": (DataRefused, "the database cannot hold a value of that size"),
    "08": (StoreUnavailable, "the connection failed"),
    "53": (StoreUnavailable, "the server lacks resources"),
    "57": (StoreUnavailable, "the server is going down or coming up"),
    "58": (StoreUnavailable, "the server's system failed: look at its log"),
    "40": (StoreUnavailable, "the transaction met others again and again"),
    "55": (StoreUnavailable, "somebody else has locked what is needed"),
    "28": (ConfigError, "the server does not let this role in"),
}


class LockTimeout(StoreUnavailable):
    """Somebody else has locked a row for too long; nothing was written."""


def state_of(error: BaseException | None) -> str | None:
    """Return the SQLSTATE of an error which the server has answered."""
    state = getattr(error, "sqlstate", None)
    return state if isinstance(state, str) else None


def translated(error: BaseException, refusals: tuple[type[BaseException], ...] = ()) -> QueueError:
    """Return the error that tells a caller what a driver's *error* means, and what to do."""
    if isinstance(error, QueueError):
        return error
    made = _translated(error, refusals)
    made.__cause__ = error
    return made


def _translated(error: BaseException, refusals: tuple[type[BaseException], ...]) -> QueueError:
    state = state_of(error)
    if state is None:
        said = f"{type(error).__name__}: {error}"
        if isinstance(error, (*REFUSALS, *refusals)):
            return DataRefused(f"the database cannot hold a value: {said}")
        return StoreUnavailable(f"PostgreSQL cannot be reached or did not answer: {said}")
    said = str(error).partition("\n")[0]  # drivers add hints of their own, and the statement
    if state == _LOCK:
        return LockTimeout(f"PostgreSQL: {said}")
    kind, fix = _FIXES.get(state) or _CLASSES.get(state[:2]) or (StoreError, "unforeseen")
    return kind(f"PostgreSQL: {said} ({state}); {fix}")
