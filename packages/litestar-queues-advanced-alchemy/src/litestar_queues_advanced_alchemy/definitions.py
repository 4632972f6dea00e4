"""The tables of the queue as SQLAlchemy describes tables, read from their one definition."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import (
    Column,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.schema import SchemaItem, conv

from litestar_queues_advanced_alchemy.systems import System
from litestar_queues_sql.schema import MIGRATIONS, VERSIONS
from litestar_queues_sql.script import Sql

_TABLE = re.compile(
    r"CREATE TABLE (?:IF NOT EXISTS )?\$(?P<table>\w+) \((?P<items>.*)\)"
    r"(?P<clustered> \$clustered)?"
)
_INDEX = re.compile(
    r"CREATE INDEX \$\{(?P<table>\w+)\}(?P<name>\w+) ON \$\w+ \((?P<columns>[^)]*)\)"
    r"(?: WHERE (?P<where>.*))?"
)
_COLUMN = re.compile(
    r"(?P<name>\w+) \$(?P<type>\w+)(?P<filled> NOT NULL)?(?P<primary> PRIMARY KEY)?"
    r"(?P<unique> UNIQUE)?(?: DEFAULT (?P<default>\d+))?"
)
_CONSTRAINT = re.compile(r"(?P<kind>PRIMARY KEY|UNIQUE|KEY (?P<name>\w+)) \((?P<columns>.*)\)")
_BETWEEN = re.compile(r", (?![^(]*\))")  # a comma that is in no parentheses


class Mark(NamedTuple):
    """Says that a table is ours."""

    prefix: str
    system: System


_marks: WeakKeyDictionary[Table, Mark] = WeakKeyDictionary()
"""Not in ``Table.info``, which Alembic writes into migrations."""


def mark_of(table: Table) -> Mark | None:
    """Return the mark of a table, if it is ours."""
    return _marks.get(table)


def make_tables(
    metadata: MetaData, prefix: str, schema: str | None, system: System
) -> dict[str, Table]:
    """Make the tables, and return them by their names without the prefix."""
    mark = Mark(prefix, system)
    return {
        definition["table"]: _table(definition, metadata, schema, mark)
        for definition in _matches(_TABLE, system)
    }


def is_structure(statement: Sql) -> bool:
    """Return whether a statement makes a table or an index, which the metadata describes."""
    return bool(_TABLE.fullmatch(statement.text) or _INDEX.fullmatch(statement.text))


def _matches(pattern: re.Pattern[str], system: System) -> Iterator[re.Match[str]]:
    migrated = [statement for migration in MIGRATIONS for statement in migration.statements]
    for statement in (VERSIONS, *migrated):
        said = system.dialect.overrides.get(statement, statement.text)
        if found := pattern.fullmatch(said):
            yield found


def _table(definition: re.Match[str], metadata: MetaData, schema: str | None, mark: Mark) -> Table:
    name, system = definition["table"], mark.system
    whole = mark.prefix + name
    items = [
        made
        for item in _BETWEEN.split(definition["items"])
        for made in _item(item.strip(), whole, system)
    ]
    options = {**system.options, **(system.clustered if definition["clustered"] else {})}
    numbered = any(isinstance(item, Column) and item.autoincrement is True for item in items)
    if not numbered:
        options.pop("sqlite_autoincrement", None)
    indexes = [
        _index(found, mark.prefix) for found in _matches(_INDEX, system) if found["table"] == name
    ]
    table = Table(whole, metadata, *items, *indexes, schema=schema, **options)
    _marks[table] = mark
    return table


def _item(item: str, table: str, system: System) -> Iterator[SchemaItem]:
    if found := _CONSTRAINT.fullmatch(item):
        yield _constraint(found, table, system)
    elif found := _COLUMN.fullmatch(item):
        yield from _column(found, table, system)
    else:
        raise AssertionError(f"{table} has something that is no column: {item}")


def _constraint(found: re.Match[str], table: str, system: System) -> SchemaItem:
    columns = found["columns"].split(", ")
    if found["name"]:
        return Index(found["name"], *columns)
    made = _key if found["kind"] == "PRIMARY KEY" else _unique
    return made(table, columns, system)


def _column(found: re.Match[str], table: str, system: System) -> Iterator[SchemaItem]:
    name, default = found["name"], found["default"]
    serial = found["type"] == "serial"
    yield Column(
        name,
        system.types[found["type"]],
        *(system.serial() if serial else ()),
        nullable=system.nullable if serial else not found["filled"],
        autoincrement=serial,
        server_default=None if default is None else text(default),
    )
    if found["primary"] or serial:
        yield _key(table, [name], system)
    if found["unique"]:
        yield _unique(table, [name], system)


def _key(table: str, columns: list[str], system: System) -> PrimaryKeyConstraint:
    return PrimaryKeyConstraint(*columns, name=_named(system.key_name(table, columns, "pkey")))


def _unique(table: str, columns: list[str], system: System) -> UniqueConstraint:
    return UniqueConstraint(*columns, name=_named(system.key_name(table, columns, "key")))


def _named(name: str | None) -> conv | None:
    """Keep a name from the naming convention of the metadata."""
    return None if name is None else conv(name)


def _index(definition: re.Match[str], prefix: str) -> Index:
    where = None if definition["where"] is None else text(definition["where"])
    return Index(
        conv(prefix + definition["table"] + definition["name"]),
        *definition["columns"].split(", "),
        postgresql_where=where,
        sqlite_where=where,
    )
