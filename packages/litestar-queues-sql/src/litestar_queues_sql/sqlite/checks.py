"""What may slow jobs down, or lose them, in a SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from litestar_queues_core.findings import Finding
from litestar_queues_sql.checks import check_tables, tables
from litestar_queues_sql.database import Texts
from litestar_queues_sql.script import Script, Sql

MEBIBYTE = 2**20
LONG_LOG = 32 * MEBIBYTE
LARGE = 256 * MEBIBYTE
"""A larger file is not read from one end to the other."""

_INDEXES = Sql("""
    WITH here AS (SELECT name FROM sqlite_master WHERE type = 'table' AND name $among)
    SELECT here.name,
        (SELECT group_concat(part.name) FROM pragma_index_info(listed.name) AS part),
        listed."unique", listed.partial, 1, listed.name
    FROM here JOIN pragma_index_list(here.name) AS listed
    UNION ALL
    SELECT here.name, part.name, 1, 0, 1, part.name
    FROM here JOIN pragma_table_info(here.name) AS part
    WHERE part.pk = 1 AND part.type = 'INTEGER'
""")
"""The number of a row is no index, but its place; so it is listed apart."""


def check(texts: Texts) -> Script[list[Finding]]:
    """Look at the tables."""
    names = tables(texts)
    findings = yield from check_tables(texts, _INDEXES, names, rebuild="REINDEX")
    return findings


def check_file(raw: sqlite3.Connection, path: Path) -> Iterator[Finding]:
    """Look at the file: its log, who reads it, and whether it is whole."""
    mode = raw.execute("PRAGMA journal_mode").fetchone()[0]
    yield Finding("ok", "journal", f"the journal mode is {mode}")
    yield from _readers(raw)
    yield _integrity(raw, path)


def _readers(raw: sqlite3.Connection) -> Iterator[Finding]:
    """Fold the log into the file as far as nobody still reads what was before."""
    page = raw.execute("PRAGMA page_size").fetchone()[0]
    _, pages, folded = raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    left = (pages - folded) * page
    if left > LONG_LOG:
        yield Finding(
            "warning",
            "readers",
            f"{left // MEBIBYTE} MiB of the log cannot be folded into the file, because somebody "
            "has been reading for long; the log grows, and all reads become slow",
            "find the connection whose transaction is left open, and close it",
        )


def _integrity(raw: sqlite3.Connection, path: Path) -> Finding:
    size = path.stat().st_size
    if size > LARGE:
        return Finding(
            "ok",
            "integrity",
            f"is not looked at, because the file has {size // MEBIBYTE} MiB; "
            f"sqlite3 {path} 'PRAGMA quick_check' does it",
        )
    said = raw.execute("PRAGMA quick_check(1)").fetchone()[0]
    if said == "ok":
        return Finding("ok", "integrity", "the file is whole")
    return Finding(
        "problem",
        "integrity",
        f"the file is damaged: {said}",
        "stop all processes, and restore a copy, or save what can be read: "
        f"sqlite3 {path} .recover",
    )
