"""No statement reads more of a growing table than it needs."""

from __future__ import annotations

import importlib
import pkgutil
import re
import sqlite3
from collections.abc import Iterator
from contextlib import suppress

import pytest

import litestar_queues_sql
from litestar_queues_sql import claim
from litestar_queues_sql.database import PREFIX, Texts
from litestar_queues_sql.schema import MIGRATIONS
from litestar_queues_sql.script import Sql
from litestar_queues_sql.sqlite.dialect import SQLITE

GROWING = tuple(PREFIX + name for name in ("job", "history", "event", "unique_key"))
SERIES = "WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 5000)"
MANY_JOBS = Sql(
    """
    $series INSERT INTO $job (id, status, lane, job_rank, due_ms, enqueued_ms, spec, payload, lease)
    SELECT n, n % 3, 'lane', 0, n, n, '', '', iif(n % 3 = 2, n % 4, NULL) FROM s
    """,
    series=SERIES,
)
MANY_ENDED = Sql(
    """
    $series INSERT INTO $history (
        id, status, finished_ms, lane, due_ms, delivery, attempt, rescues, snoozes, put_backs,
        enqueued_ms, spec, payload
    )
    SELECT n, 4 + n % 4, n, 'lane', n, 1, 0, 0, 0, 0, n, '', '' FROM s
    """,
    series=SERIES,
)


def statements() -> Iterator[Sql]:
    for info in pkgutil.walk_packages(litestar_queues_sql.__path__, "litestar_queues_sql."):
        if info.name.split(".")[1] in {"mysql", "postgres"}:  # what only these understand
            continue
        for value in vars(importlib.import_module(info.name)).values():
            for one in value if isinstance(value, tuple) else [value]:
                if isinstance(one, Sql) and not one.text.startswith("CREATE"):
                    yield one


@pytest.fixture(params=["empty", "full"])
def database(request: pytest.FixtureRequest) -> Iterator[sqlite3.Connection]:
    """The tables, once without statistics and once with those of many rows."""
    connection = sqlite3.connect(":memory:")
    texts = Texts(SQLITE)
    connection.execute(f"CREATE TABLE {PREFIX}schema (version, oldest_reader)")
    for statement in MIGRATIONS[-1].statements:
        connection.execute(texts[statement])
    if request.param == "full":
        for statement in (MANY_JOBS, MANY_ENDED):
            connection.execute(texts[statement])
        connection.execute("ANALYZE")
    yield connection
    connection.close()


def plan(database: sqlite3.Connection, sql: Sql) -> list[str]:
    """Return the steps by which SQLite executes *sql*."""
    texts = Texts(SQLITE)
    if not sql.rows:
        return _explain(database, texts[sql])
    for width in range(1, 20):
        with suppress(sqlite3.OperationalError):  # so many values are not what it wants
            return _explain(database, texts.of_rows(sql, 2, width))
    raise AssertionError(f"no number of values fits {sql}")


def _explain(database: sqlite3.Connection, text: str) -> list[str]:
    params = [None] * text.count("?")
    return [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {text}", params)]


def is_scan(step: str, text: str) -> bool:
    """Whether a step reads a whole growing table, not just its end or a capped part of it."""
    words = step.split()
    if words[0] != "SCAN" or words[1] not in {*GROWING, "one", "job"}:
        return False
    from_an_end = re.search(r"FROM \S+ ORDER BY (seq|id)( DESC)? LIMIT", text)
    return not from_an_end and "LIMIT ? ) AS capped" not in text


def test_no_statement_scans_a_table_that_grows(database: sqlite3.Connection) -> None:
    seen = 0
    for sql in statements():
        for step in plan(database, sql):
            assert not is_scan(step, sql.text), f"{sql.text}: {step}"
        seen += 1

    assert seen > 60


def test_a_claim_goes_along_its_index_and_sorts_nothing(database: sqlite3.Connection) -> None:
    (pick,) = plan(database, claim._PICK)
    take = plan(database, claim._TAKE)

    assert pick == f"SEARCH {PREFIX}job USING INDEX {PREFIX}job_ready (lane=?)"
    assert take[0] == f"SEARCH {PREFIX}job USING INTEGER PRIMARY KEY (rowid=?)"


def test_lanes_are_found_by_seeking(database: sqlite3.Connection) -> None:
    steps = [step for step in plan(database, claim._READY_LANES) if PREFIX in step]

    assert steps == [f"SEARCH {PREFIX}job USING INDEX {PREFIX}job_ready (lane>?)"] * 2


def test_only_looks_at_many_jobs_sort(database: sqlite3.Connection) -> None:
    sorting = {
        sql for sql in statements() if any("TEMP B-TREE" in one for one in plan(database, sql))
    }

    assert all(
        "GROUP BY" in sql.text or "lease = ?" in sql.text or "job = ?" in sql.text
        for sql in sorting
    )
