"""How PostgreSQL executes what the queue asks of it, with a big backlog: the plans of the docs.

Each statement is explained with its real parameters at the moment at which the store executes it.
Of a plan only what touches the tables of jobs, finished jobs and keys is shown.  ``--docs`` writes
them into the documentation, where a test compares them with those that it finds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.append(str(Path(__file__).parents[1]))

from postgres import server
from sqlspec.adapters.asyncpg import AsyncpgConfig
from tests.databases.postgres import Database

from litestar_queues_core.ids import new_lease_id
from litestar_queues_core.model import WorkerInfo
from litestar_queues_core.settlements import Kind, MaintenancePolicy, Settlement, Wants
from litestar_queues_core.testing import make_job
from litestar_queues_sql.database import PREFIX
from litestar_queues_sql.drivers.asyncpg import AsyncpgConnection
from litestar_queues_sql.postgres import PostgresStore
from litestar_queues_sqlspec import SQLSpecBackendConfig

DOCS = Path(__file__).parents[1] / "docs" / "postgresql-plans.md"
MARK = "% What follows is written by benchmarks/plans.py.\n"
BATCH = 100
GROWING = {f"{PREFIX}{name}" for name in ("job", "history", "unique_key")}
EXPLAIN = "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, SUMMARY OFF, FORMAT JSON)"
HOUR_MS = 3_600_000
FILL = f"""
    INSERT INTO {PREFIX}job (id, status, lane, job_rank, due_ms, enqueued_ms, spec, payload)
    SELECT '0-' || lpad(n::text, 34, '0'), 0, 'default', 0, n, 0, '{{"task":"t"}}', '{{}}'
    FROM generate_series(1, $1) AS numbers (n);
    INSERT INTO {PREFIX}job (id, status, lane, job_rank, due_ms, enqueued_ms, spec, payload)
    SELECT '1-' || lpad(n::text, 34, '0'), 1, 'default', 0,
        CASE WHEN n <= 1000 THEN n ELSE 4000000000000 + n END, 0, '{{"task":"t"}}', '{{}}'
    FROM generate_series(1, $1) AS numbers (n);
    INSERT INTO {PREFIX}history (
        id, status, finished_ms, lane, due_ms, delivery, attempt, rescues, snoozes, put_backs,
        enqueued_ms, spec, payload
    )
    SELECT '2-' || lpad(n::text, 34, '0'), 4 + n % 4, n, 'default', n, 1, 0, 0, 0, 0, 0,
        '{{"task":"t"}}', '{{}}'
    FROM generate_series(1, $1) AS numbers (n);
    INSERT INTO {PREFIX}unique_key (name, job, task)
    SELECT 'k' || n, '0-' || lpad(n::text, 34, '0'), 't' FROM generate_series(1, $1) AS numbers (n);
    ANALYZE
"""  # noqa: S608


class Step(NamedTuple):
    """One line of a plan: how deep it lies, what it does, how many rows and pages it met."""

    depth: int
    what: str
    rows: int
    pages: int

    def __str__(self) -> str:
        return f"{'  ' * self.depth}{self.what}  -- {self.rows:,} rows, {self.pages:,} pages"


Plans = dict[str, list[list[Step]]]
"""By what is done, the plans of the statements that do it."""


class Explainer:
    """Explains each statement before it is executed, while its context lasts."""

    def __init__(self) -> None:
        self.found: list[list[Step]] = []
        self._fetch, self._run_many = AsyncpgConnection.fetch, AsyncpgConnection.run_many

    def __enter__(self) -> Explainer:
        async def fetch(one: AsyncpgConnection, text: str, params: Sequence[object]) -> Any:
            plan = list(steps(await plan_of(one.raw, text, params)))
            if plan:
                self.found.append(plan)
            return await self._fetch(one, text, params)

        async def run_many(one: AsyncpgConnection, text: str, rows: Sequence[Any]) -> None:
            self.found.append(list(steps(await plan_of(one.raw, text, rows[0]))))
            await self._run_many(one, text, rows)

        AsyncpgConnection.fetch = fetch  # type: ignore[method-assign]
        AsyncpgConnection.run_many = run_many  # type: ignore[method-assign]
        return self

    def __exit__(self, *exc: object) -> None:
        AsyncpgConnection.fetch = self._fetch  # type: ignore[method-assign]
        AsyncpgConnection.run_many = self._run_many  # type: ignore[method-assign]


async def plan_of(raw: Any, text: str, params: Sequence[object]) -> dict[str, Any]:
    """Execute a statement, return how that was done, and undo it."""
    begin, undo = "BEGIN", "ROLLBACK"
    if raw.is_in_transaction():
        begin, undo = "SAVEPOINT explaining", "ROLLBACK TO explaining"
    await raw.execute(begin)
    answer = await raw.fetchval(f"{EXPLAIN} {text}", *params)
    await raw.execute(undo)
    (found,) = answer if isinstance(answer, list) else json.loads(answer)  # codecs differ
    plan: dict[str, Any] = found["Plan"]
    return plan


def steps(node: dict[str, Any], depth: int = 0) -> Iterator[Step]:
    """Yield what a plan does with the tables that grow."""
    if shown := _is_shown(node):
        yield _step(node, depth)
    for one in node.get("Plans", ()):
        yield from steps(one, depth + shown)


def _is_shown(node: dict[str, Any]) -> bool:
    """Whether a node reads or changes such a table, or sorts its rows, and was executed."""
    if not node.get("Actual Loops"):
        return False
    index = node.get("Index Name", "")
    kind = node["Node Type"]
    if node.get("Relation Name") in GROWING or any(map(index.startswith, GROWING)):
        return True
    return kind.endswith("Sort") and any(map(_is_shown, node["Plans"]))


def _step(node: dict[str, Any], depth: int) -> Step:
    kind = node["Operation"] if node["Node Type"] == "ModifyTable" else node["Node Type"]
    table = node.get("Relation Name", "").removeprefix(PREFIX)
    what = f"{kind} {table}".strip()
    if "Index Name" in node:
        what += f" by {node['Index Name'].removeprefix(PREFIX)}"
    if condition := node.get("Index Cond") or node.get("TID Cond"):
        what += f" where {_plain(condition)}"
    met = node["Plans"][0] if kind in {"Delete", "Insert", "Update"} else node
    rows = round(met["Actual Rows"] * met["Actual Loops"])
    return Step(depth, what, rows, node["Shared Hit Blocks"] + node["Shared Read Blocks"])


def _plain(condition: str) -> str:
    """Return a condition without types, numbers of aliases and values, which differ."""
    text = re.sub(r"::\w+(\[\])?", "", condition)
    text = re.sub(r"'[^']*'|\b\d+\b", "?", text)
    return re.sub(r"\b([a-z]+)_\d+\.", r"\1.", text)


async def explained(database: Database, number: int) -> Plans:
    """Return the plans with so many waiting, future and finished jobs, and keys."""
    config = AsyncpgConfig(connection_config={"dsn": database.url})
    backend = SQLSpecBackendConfig(config=config, create_schema=True, notify=False)
    async with backend.open():
        pass
    for statement in FILL.replace("$1", str(number)).split(";"):
        await asyncio.to_thread(database.ask, statement)
    async with backend.open() as store:
        assert isinstance(store, PostgresStore)
        return await _explained(store, lambda: asyncio.to_thread(database.ask, "VACUUM"))


async def _explained(store: PostgresStore, vacuum: Callable[[], Awaitable[object]]) -> Plans:
    plans: Plans = {}
    wants = Wants(limit=BATCH, others=BATCH)
    lease, dying = new_lease_id(), new_lease_id()
    await store.open_lease(lease, WorkerInfo(name="plans"), seconds=36_000)
    await store.open_lease(dying, WorkerInfo(name="dying"), seconds=1)
    claimed = (await store.exchange(lease, 1, [], wants)).claimed
    await store.exchange(dying, 1, [], wants)

    with Explainer() as explainer:
        settlements = [Settlement(job.id, job.delivery, Kind.COMPLETE) for job in claimed]
        await store.exchange(lease, 2, settlements, wants)
    plans["Complete 100 jobs and claim the next 100"] = explainer.found
    await vacuum()  # what was undone is to be seen nowhere
    with Explainer() as explainer:
        keys = [make_job(key=f"new-{n}") for n in range(BATCH)]
        await store.enqueue(keys)
    plans["Enqueue 100 jobs with keys"] = explainer.found
    await vacuum()
    with Explainer() as explainer:
        store.shift_clock(60_000)
        done = await store.maintain(MaintenancePolicy(seconds=60))
    assert done.pruned
    plans["Maintenance: promote 1,000 due jobs, rescue 100, prune 1,000"] = explainer.found
    return plans


def shape(text: str) -> list[str]:
    """Return what is the same in written plans whatever the numbers are.

    Whether entries of an index are sorted by their places before the rows are read is the planner's
    affair: it reads the same ones.
    """
    lines = re.findall(r"^ *(\w.*\S)  -- [\d,]+ rows, [\d,]+ pages$", text, re.MULTILINE)
    kept = [line for line in lines if not line.startswith("Bitmap Heap Scan")]
    return [re.sub(r"^(Bitmap Index Scan|Index Scan \w+) by", "Index Scan by", one) for one in kept]


def written(plans: Plans) -> str:
    """Return plans as text of the documentation."""
    parts: list[str] = []
    for title, some in plans.items():
        lines = ["\n".join(str(step) for step in plan) for plan in some]
        parts.append(f"### {title}\n\n```text\n" + "\n\n".join(lines) + "\n```\n")
    return "\n".join(parts)


def main() -> None:
    """Explain and print, or write into the documentation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=1_000_000, help="default: 1,000,000")
    parser.add_argument("--docs", action="store_true", help="write into the documentation")
    given = parser.parse_args()
    with server() as running, running.database() as database:
        text = written(asyncio.run(explained(database, given.number)))
    if not given.docs:
        print(text)
        return
    before, mark, _ = DOCS.read_text(encoding="utf-8").partition(MARK)
    DOCS.write_text(f"{before}{mark}\n{text}", encoding="utf-8")


if __name__ == "__main__":
    main()
