"""What is looked at in every database: the version of the tables, and their keys and indexes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from litestar_queues_core.findings import Finding
from litestar_queues_sql.database import TABLES, Texts
from litestar_queues_sql.schema import LATEST, READ
from litestar_queues_sql.script import Script, Sql
from litestar_queues_sql.structure import Key, keys

LONG_SECONDS = 60
"""Transactions that are open for longer are told of."""


class There(NamedTuple):
    """A key or an index that the database has.

    Attributes:
        table: Its table, with the prefix.
        columns: What it is made of, with commas.
        unique: Whether no two rows are alike in it.
        partial: Whether it leads to some of the rows only.
        valid: Whether the database uses it.
        name: What it is called.
    """

    table: str
    columns: str
    unique: int
    partial: int
    valid: int
    name: str


def tables(texts: Texts) -> list[str]:
    """Return the names of all tables, with their prefix."""
    return [f"{texts.prefix}{name}" for name in TABLES]


def check_tables(
    texts: Texts, listing: Sql, asked: object, *, rebuild: str = ""
) -> Script[list[Finding]]:
    """Look at the version of the tables, and at their keys and indexes.

    Args:
        texts: The statements.
        listing: Lists what there is; its rows are those of :class:`There`.
        asked: Its parameter.
        rebuild: What makes an index valid again, before its name.
    """
    rows: list[tuple[int, int]] = yield READ()
    found: list[Sequence[object]] = yield listing(asked)
    there = [There(*row) for row in found]  # type: ignore[arg-type]
    bad = [*_missing(texts, there), *_invalid(there, rebuild)]
    good = Finding("ok", "indexes", "all are there")
    return [*_version(rows[0][0]), *(bad or [good])]


def _version(version: int) -> Iterator[Finding]:
    if version > LATEST:
        yield Finding(
            "warning",
            "schema",
            f"the tables have schema version {version}, this library has {LATEST}; it can use them",
            "upgrade litestar-queues-sql here, too",
        )
    else:
        yield Finding("ok", "schema", f"the tables have schema version {version}")


def _missing(texts: Texts, there: Sequence[There]) -> Iterator[Finding]:
    have = {_what(one) for one in there}
    for key in keys(texts.dialect):
        name = f"{texts.prefix}{key.table}"
        if _wanted(key, name) not in have:
            columns = ", ".join(key.columns)
            what = key.kind or "index"
            yield Finding(
                "problem",
                "indexes",
                f"table {name} has no {what.lower()} on ({columns}), so work on it reads all rows",
                f"execute {key.statement(texts)}",
            )


def _wanted(key: Key, table: str) -> tuple[object, ...]:
    return table.lower(), ",".join(key.columns), key.unique, key.partial


def _what(one: There) -> tuple[object, ...]:
    return one.table.lower(), one.columns, bool(one.unique), bool(one.partial)


def _invalid(there: Sequence[There], rebuild: str) -> Iterator[Finding]:
    for one in there:
        if not one.valid:
            yield Finding(
                "problem",
                "indexes",
                f"index {one.name} is there, but invalid, so no statement uses it",
                f"execute {rebuild} {one.name}",
            )
