"""The database systems beneath SQLAlchemy, and how each has the tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import VARBINARY, BigInteger, Identity, Integer, LargeBinary, Text
from sqlalchemy.dialects.mysql import LONGBLOB
from sqlalchemy.types import TypeEngine

from litestar_queues_core.errors import ConfigError
from litestar_queues_sql.database import Dialect
from litestar_queues_sql.mysql.dialect import MYSQL
from litestar_queues_sql.postgres.dialect import POSTGRES
from litestar_queues_sql.sqlite.dialect import SQLITE

_LONGEST = 63


@dataclass(frozen=True, kw_only=True)
class System:
    """How one system has the tables.

    Attributes:
        name: What people call it.
        kind: What SQLAlchemy calls it.
        dialect: Its SQL.
        types: The types of columns, by the words of the dialect.
        key_name: Names a constraint as the system does, from table, columns and kind; ``None`` if
            it has no name there.
        options: Of each table.
        clustered: Of tables without rows beside their key.
        serial: Makes what a column that numbers its rows has besides its type.
        nullable: Whether the system says of such a column that it may be null.
    """

    name: str
    kind: str
    dialect: Dialect
    types: Mapping[str, TypeEngine[Any]]
    key_name: Callable[[str, list[str], str], str | None]
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    clustered: Mapping[str, Any] = field(default_factory=dict[str, Any])
    serial: Callable[[], list[Identity]] = list
    nullable: bool = False


def system_of(kind: str) -> System:
    """Return the system that SQLAlchemy calls *kind*.

    Raises:
        ConfigError: It is none of those that are supported.
    """
    if kind not in _SYSTEMS:
        raise ConfigError(
            f"the queue cannot use {kind}: it is not supported yet; supported are "
            f"{', '.join(_SYSTEMS)}"
        )
    return _SYSTEMS[kind]


def is_of(system: System, kind: str) -> bool:
    """Return whether *system* is the one that SQLAlchemy calls *kind*."""
    return _SYSTEMS.get(kind) is system


def _postgres_name(table: str, columns: list[str], kind: str) -> str:
    """Return the name that PostgreSQL gives to a constraint without one."""
    named = "" if kind == "pkey" else "_".join(columns)
    room = _LONGEST - len(kind) - 1 - bool(named)
    while len(table) + len(named) > room:
        if len(table) > len(named):
            table = table[:-1]
        else:
            named = named[:-1]
    return "_".join(part for part in (table, named, kind) if part)


def _mysql_name(table: str, columns: list[str], kind: str) -> str | None:
    return None if kind == "pkey" else columns[0]


def _no_name(table: str, columns: list[str], kind: str) -> None:
    return None


_POSTGRES = System(
    name="PostgreSQL",
    kind="postgresql",
    dialect=POSTGRES,
    types={
        "id": Text(collation="C"),
        "text": Text(collation="C"),
        "int": Integer(),
        "big": BigInteger(),
        "serial": BigInteger(),
        "bytes": LargeBinary(),
    },
    key_name=_postgres_name,
    serial=lambda: [Identity(always=True)],
)
_SQLITE = System(
    name="SQLite",
    kind="sqlite",
    dialect=SQLITE,
    types={
        "id": Text(),
        "text": Text(),
        "int": Integer(),
        "big": Integer(),
        "serial": Integer(),
        "bytes": LargeBinary(),
    },
    key_name=_no_name,
    options={"sqlite_autoincrement": True},
    clustered={"sqlite_with_rowid": False},
    nullable=True,
)
_MYSQL = System(
    name="MySQL or MariaDB",
    kind="mysql",
    dialect=MYSQL,
    types={
        "id": VARBINARY(36),
        "text": VARBINARY(1020),
        "int": Integer(),
        "big": BigInteger(),
        "serial": BigInteger(),
        "bytes": LONGBLOB(),
    },
    key_name=_mysql_name,
    options={"mysql_engine": "InnoDB", "mariadb_engine": "InnoDB"},
)

_SYSTEMS = {
    "postgresql": _POSTGRES,
    "sqlite": _SQLITE,
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
}
