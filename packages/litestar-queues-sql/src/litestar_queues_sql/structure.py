"""The tables, read from the statements that make them: their columns, keys and indexes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from litestar_queues_sql.database import Dialect, Texts
from litestar_queues_sql.schema import MIGRATIONS, VERSIONS
from litestar_queues_sql.script import Sql

TABLE = re.compile(
    r"CREATE TABLE (?:IF NOT EXISTS )?\$(?P<table>\w+) \((?P<items>.*)\)"
    r"(?P<clustered> \$clustered)?"
)
INDEX = re.compile(
    r"CREATE INDEX \$\{(?P<table>\w+)\}(?P<name>\w+) ON \$\w+ \((?P<columns>[^)]*)\)"
    r"(?: WHERE (?P<where>.*))?"
)
COLUMN = re.compile(
    r"(?P<name>\w+) \$(?P<type>\w+)(?P<filled> NOT NULL)?(?P<primary> PRIMARY KEY)?"
    r"(?P<unique> UNIQUE)?(?: DEFAULT (?P<default>\d+))?"
)
CONSTRAINT = re.compile(r"(?P<kind>PRIMARY KEY|UNIQUE|KEY (?P<name>\w+)) \((?P<columns>.*)\)")
_BETWEEN = re.compile(r", (?![^(]*\))")  # a comma that is in no parentheses


class Key(NamedTuple):
    """What rows are found by.

    Attributes:
        table: Name of the table, without the prefix of the store.
        columns: What it is made of, in order.
        unique: Whether no two rows are alike in it.
        partial: Whether it leads to some of the rows only.
        made_by: The statement that makes it, if nothing else is made by it.
        kind: What it is called where it is a part of the table: ``PRIMARY KEY``.
    """

    table: str
    columns: tuple[str, ...]
    unique: bool = False
    partial: bool = False
    made_by: Sql | None = None
    kind: str = ""

    def statement(self, texts: Texts) -> str:
        """Return the statement that makes it anew."""
        if self.made_by is not None:
            return texts[self.made_by]
        table, columns = f"{texts.prefix}{self.table}", ", ".join(self.columns)
        return f"ALTER TABLE {table} ADD {self.kind} ({columns})"


def found(pattern: re.Pattern[str], dialect: Dialect) -> Iterator[tuple[Sql, re.Match[str]]]:
    """Yield the statements that make the tables of a dialect and look like *pattern*."""
    migrated = [statement for migration in MIGRATIONS for statement in migration.statements]
    for statement in (VERSIONS, *migrated):
        said = dialect.overrides.get(statement, statement.text)
        if match := pattern.fullmatch(said):
            yield statement, match


def items(table: re.Match[str]) -> list[str]:
    """Return what stands between the parentheses of a table."""
    return [item.strip() for item in _BETWEEN.split(table["items"])]


def keys(dialect: Dialect) -> list[Key]:
    """Return all keys and indexes of the tables."""
    made = [
        key
        for _, table in found(TABLE, dialect)
        for item in items(table)
        for key in _keys(table["table"], item)
    ]
    for statement, index in found(INDEX, dialect):
        columns = tuple(index["columns"].split(", "))
        made.append(Key(index["table"], columns, partial=bool(index["where"]), made_by=statement))
    return made


def _keys(table: str, item: str) -> Iterator[Key]:
    if constraint := CONSTRAINT.fullmatch(item):
        kind, columns = constraint["kind"], tuple(constraint["columns"].split(", "))
        yield Key(table, columns, unique=not constraint["name"], kind=kind)
    elif column := COLUMN.fullmatch(item):
        columns = (column["name"],)
        if column["primary"] or column["type"] == "serial":
            yield Key(table, columns, unique=True, kind="PRIMARY KEY")
        if column["unique"]:
            yield Key(table, columns, unique=True, kind="UNIQUE")
