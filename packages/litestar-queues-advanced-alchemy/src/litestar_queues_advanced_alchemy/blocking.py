"""The blocking drivers of SQLAlchemy, through whose sessions jobs are enqueued."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from litestar_queues_core.errors import SessionError
from litestar_queues_sql.driver import Connection


def blocking_connection(driver: str, raw: Any) -> Connection:
    """Return the connection of a blocking driver, in its transaction, as the store can use it.

    Raises:
        SessionError: The driver is none of those that are supported, or commits each statement.
    """
    if driver not in _DRIVERS:
        raise SessionError(
            f"the Session uses {driver}, which is not supported yet: make its engine with "
            "postgresql+psycopg, mysql+pymysql, mariadb+pymysql or sqlite (of the standard library)"
        )
    return _DRIVERS[driver](raw)


def autocommits(session: str) -> SessionError:
    """Return the error for a session without transactions."""
    return SessionError(
        f"the connection of the {session} is in AUTOCOMMIT mode, so there is no transaction to "
        "join: use an engine with another isolation_level, or leave session= out"
    )


def _psycopg(raw: Any) -> Connection:
    if raw.autocommit:
        raise autocommits("Session")
    wrap: Any = import_module("litestar_queues_sql.drivers.psycopg").BlockingPsycopgConnection
    wrapped: Connection = wrap(raw)
    return wrapped


def _pymysql(raw: Any) -> Connection:
    wrap: Any = import_module("litestar_queues_sql.drivers.mysql").BlockingMySQLConnection
    wrapped: Any = wrap(raw, import_module("pymysql.cursors").Cursor)
    if not wrapped.in_transaction:
        if raw.get_autocommit():
            raise autocommits("Session")
        raw.begin()
    joined: Connection = wrapped
    return joined


def _sqlite(raw: Any) -> Connection:
    wrap: Any = import_module("litestar_queues_sql.drivers.sqlite").BlockingSQLiteConnection
    wrapped: Any = wrap(raw)
    if not wrapped.in_transaction and wrapped.autocommits:
        raise autocommits("Session")
    joined: Connection = wrapped
    return joined


_DRIVERS: Mapping[str, Callable[[Any], Connection]] = {
    "psycopg": _psycopg,
    "pymysql": _pymysql,
    "pysqlite": _sqlite,
}
