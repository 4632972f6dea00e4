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
from litestar_queues_sql.script import Sql
from litestar_queues_sql.structure import COLUMN, CONSTRAINT, INDEX, TABLE, found, items


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
        for _, definition in found(TABLE, system.dialect)
    }


def is_structure(statement: Sql) -> bool:
    """Return whether a statement makes a table or an index, which the metadata describes."""
    return bool(TABLE.fullmatch(statement.text) or INDEX.fullmatch(statement.text))


def _table(definition: re.Match[str], metadata: MetaData, schema: str | None, mark: Mark) -> Table:
    name, system = definition["table"], mark.system
    whole = mark.prefix + name
    parts = [made for item in items(definition) for made in _item(item, whole, system)]
    options = {**system.options, **(system.clustered if definition["clustered"] else {})}
    numbered = any(isinstance(part, Column) and part.autoincrement is True for part in parts)
    if not numbered:
        options.pop("sqlite_autoincrement", None)
    indexes = [
        _index(index, mark.prefix)
        for _, index in found(INDEX, system.dialect)
        if index["table"] == name
    ]
    table = Table(whole, metadata, *parts, *indexes, schema=schema, **options)
    _marks[table] = mark
    return table


def _item(item: str, table: str, system: System) -> Iterator[SchemaItem]:
    if constraint := CONSTRAINT.fullmatch(item):
        yield _constraint(constraint, table, system)
    elif column := COLUMN.fullmatch(item):
        yield from _column(column, table, system)
    else:
        raise AssertionError(f"{table} has something that is no column: {item}")


def _constraint(given: re.Match[str], table: str, system: System) -> SchemaItem:
    columns = given["columns"].split(", ")
    if given["name"]:
        return Index(given["name"], *columns)
    made = _key if given["kind"] == "PRIMARY KEY" else _unique
    return made(table, columns, system)


def _column(given: re.Match[str], table: str, system: System) -> Iterator[SchemaItem]:
    name, default = given["name"], given["default"]
    serial = given["type"] == "serial"
    yield Column(
        name,
        system.types[given["type"]],
        *(system.serial() if serial else ()),
        nullable=system.nullable if serial else not given["filled"],
        autoincrement=serial,
        server_default=None if default is None else text(default),
    )
    if given["primary"] or serial:
        yield _key(table, [name], system)
    if given["unique"]:
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
