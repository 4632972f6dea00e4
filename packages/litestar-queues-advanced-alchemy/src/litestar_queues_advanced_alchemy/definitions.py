"""The tables of the queue as SQLAlchemy describes tables, read from their one definition."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.schema import SchemaItem, conv
from sqlalchemy.types import TypeEngine

from litestar_queues_sql.schema import MIGRATIONS, VERSIONS
from litestar_queues_sql.script import Sql

MARK = "litestar_queues"
"""In ``Table.info`` it says that a table is ours, and with which prefix."""

TYPES: Mapping[str, TypeEngine[Any]] = {
    "id": Text(collation="C"),
    "text": Text(collation="C"),
    "int": Integer(),
    "big": BigInteger(),
    "serial": BigInteger(),
    "bytes": LargeBinary(),
}

_TABLE = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?\$(?P<table>\w+) \((?P<items>.*)\)[^)]*")
_INDEX = re.compile(
    r"CREATE INDEX \$\{(?P<table>\w+)\}(?P<name>\w+) ON \$\w+ \((?P<columns>[^)]*)\)"
    r"(?: WHERE (?P<where>.*))?"
)
_COLUMN = re.compile(
    r"(?P<name>\w+) \$(?P<type>\w+)(?P<filled> NOT NULL)?(?P<primary> PRIMARY KEY)?"
    r"(?P<unique> UNIQUE)?(?: DEFAULT (?P<default>\d+))?"
)
_CONSTRAINT = re.compile(r"(?P<kind>PRIMARY KEY|UNIQUE) \((?P<columns>.*)\)")
_BETWEEN = re.compile(r", (?![^(]*\))")  # a comma that is in no parentheses
_LONGEST = 63


def make_tables(metadata: MetaData, prefix: str, schema: str | None) -> dict[str, Table]:
    """Make the tables, and return them by their names without the prefix."""
    return {
        definition["table"]: _table(definition, metadata, prefix, schema)
        for definition in _matches(_TABLE)
    }


def is_structure(statement: Sql) -> bool:
    """Return whether a statement makes a table or an index, which the metadata describes."""
    return bool(_TABLE.fullmatch(statement.text) or _INDEX.fullmatch(statement.text))


def _matches(pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
    migrated = [statement for migration in MIGRATIONS for statement in migration.statements]
    for statement in (VERSIONS, *migrated):
        if found := pattern.fullmatch(statement.text):
            yield found


def _table(definition: re.Match[str], metadata: MetaData, prefix: str, schema: str | None) -> Table:
    name = definition["table"]
    whole = prefix + name
    items = [
        made for item in _BETWEEN.split(definition["items"]) for made in _item(item.strip(), whole)
    ]
    indexes = [_index(found, prefix) for found in _matches(_INDEX) if found["table"] == name]
    return Table(whole, metadata, *items, *indexes, schema=schema, info={MARK: prefix})


def _item(item: str, table: str) -> Iterator[SchemaItem]:
    if found := _CONSTRAINT.fullmatch(item):
        columns = found["columns"].split(", ")
        yield _key(table, columns) if found["kind"] == "PRIMARY KEY" else _unique(table, columns)
        return
    found = _COLUMN.fullmatch(item)
    if found is None:
        raise AssertionError(f"{table} has something that is no column: {item}")
    serial = found["type"] == "serial"
    default = found["default"]
    yield Column(
        found["name"],
        TYPES[found["type"]],
        *[Identity(always=True)] * serial,
        nullable=not (found["filled"] or serial),
        autoincrement=serial,
        server_default=None if default is None else text(default),
    )
    if found["primary"] or serial:
        yield _key(table, [found["name"]])
    if found["unique"]:
        yield _unique(table, [found["name"]])


def _key(table: str, columns: list[str]) -> PrimaryKeyConstraint:
    return PrimaryKeyConstraint(*columns, name=conv(_name(table, "", "pkey")))


def _unique(table: str, columns: list[str]) -> UniqueConstraint:
    return UniqueConstraint(*columns, name=conv(_name(table, "_".join(columns), "key")))


def _name(table: str, columns: str, kind: str) -> str:
    """Return the name that PostgreSQL gives to a constraint without one."""
    room = _LONGEST - len(kind) - 1 - bool(columns)
    while len(table) + len(columns) > room:
        if len(table) > len(columns):
            table = table[:-1]
        else:
            columns = columns[:-1]
    return "_".join(part for part in (table, columns, kind) if part)


def _index(definition: re.Match[str], prefix: str) -> Index:
    where = definition["where"]
    return Index(
        conv(prefix + definition["table"] + definition["name"]),
        *definition["columns"].split(", "),
        postgresql_where=None if where is None else text(where),
    )
