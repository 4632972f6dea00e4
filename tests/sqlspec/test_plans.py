"""No statement of the hot path reads more than it needs, whatever the tables look like."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.databases.postgres import Database

from litestar_queues_sql.database import PREFIX
from litestar_queues_sql.postgres.composing import Form, compose
from litestar_queues_sql.postgres.dialect import NOW_MS
from litestar_queues_sql.postgres.enqueue import _ENQUEUE, _LESS, _MORE
from litestar_queues_sql.postgres.query import Query
from litestar_queues_sqlspec import SQLSpecBackendConfig

GROWING = {f"{PREFIX}{name}" for name in ("job", "history", "unique_key")}
FORMS = [
    Form(settles, claims, claims and others, claims and suspects)
    for settles, (claims, others, suspects) in itertools.product(
        ("", "completed", "settled"),
        [
            (False, False, False),
            (True, False, False),
            (True, True, False),
            (True, True, True),
            (True, False, True),
        ],
    )
]
WAITING = Query(
    PREFIX,
    """
    INSERT INTO $job (
        id, status, lane, job_rank, due_ms, enqueued_ms, spec, payload, lease, delivery
    )
    SELECT lpad(n::text, 36, '0'), CASE WHEN n <= 100000 THEN 0 WHEN n <= 149900 THEN 1 ELSE 2 END,
        'lane' || n % 7, 0, n, 0, '', '', CASE WHEN n > 149900 THEN 1 END, 1
    FROM generate_series(1, 150000) AS numbers (n)
    """,
).text
ENDED = Query(
    PREFIX,
    """
    INSERT INTO $history (
        id, status, finished_ms, lane, due_ms, delivery, attempt, rescues, snoozes, put_backs,
        enqueued_ms, spec, payload
    )
    SELECT 'ended ' || n, 4 + n % 4, n, 'lane', n, 1, 0, 0, 0, 0, n, '', ''
    FROM generate_series(1, 50000) AS numbers (n)
    """,
).text
KEYS = Query(
    PREFIX,
    """
    INSERT INTO $unique_key (name, job, task)
    SELECT n::text, n::text, '' FROM generate_series(1, 50000) AS numbers (n)
    """,
).text


@pytest.fixture(params=["new", "analyzed while empty", "full"])
async def filled(
    request: pytest.FixtureRequest, database: Database, backend: SQLSpecBackendConfig
) -> Database:
    """The tables, as the planner may find them."""
    async with backend.open():
        pass
    if request.param == "full":
        for statement in (WAITING, ENDED, KEYS):
            database.ask(statement)
    if request.param != "new":
        for name in GROWING:
            database.ask(f"ANALYZE {name}")
    return database


def nodes(plan: dict[str, Any], above: str = "") -> Iterator[dict[str, Any]]:
    yield plan | {"above": above}
    for one in plan.get("Plans", ()):
        yield from nodes(one, plan["Node Type"])


def generic_plan(database: Database, text: str) -> Iterator[dict[str, Any]]:
    ((answer,),) = database.ask(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {text}")
    (found,) = answer if isinstance(answer, list) else json.loads(answer)
    return nodes(found["Plan"])


def is_scan(node: dict[str, Any]) -> bool:
    """Whether a node reads a whole table, or a whole index, of those that grow."""
    if node.get("Relation Name") not in GROWING:
        return False
    if node["Node Type"] == "Seq Scan":
        return True
    from_an_end = node["above"] == "Limit"
    return "Index" in node["Node Type"] and "Index Cond" not in node and not from_an_end


def is_sort(node: dict[str, Any]) -> bool:
    """Whether a node sorts rows of a table that grows."""
    sorts = {"Sort", "Incremental Sort"} & {one["Node Type"] for one in nodes(node)}
    return node["Node Type"] in sorts and any(
        one.get("Relation Name") in GROWING for one in nodes(node)
    )


async def test_an_exchange_scans_and_sorts_nothing(filled: Database) -> None:
    for form in FORMS:
        for node in generic_plan(filled, compose(form, PREFIX).text):
            assert not is_scan(node), (form, node)
            assert not is_sort(node), (form, node)


async def test_a_claim_goes_along_its_index(filled: Database) -> None:
    form = Form("completed", claims=True, others=True)

    used = [
        node["Index Name"]
        for node in generic_plan(filled, compose(form, PREFIX).text)
        if node.get("Index Name", "").startswith(f"{PREFIX}job")
    ]

    assert used.count(f"{PREFIX}job_ready") == 2
    assert set(used) <= {f"{PREFIX}job_ready", f"{PREFIX}job_pkey", f"{PREFIX}job_due"}


@pytest.mark.parametrize("words", [_LESS, _MORE], ids=["plain", "more"])
async def test_an_enqueue_scans_nothing(filled: Database, words: dict[str, str]) -> None:
    query = Query(PREFIX, _ENQUEUE, now=NOW_MS, **words)

    for node in generic_plan(filled, query.text):
        assert not is_scan(node), node
