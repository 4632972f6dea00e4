"""The floor: what any queue must do, as one statement for each hundred jobs, by bare asyncpg.

A claim marks rows in the order of an index; a settlement moves them to another table.  Both are
one statement and one commit: it settles the last batch and claims the next.  The planner, which has
no statistics yet, is told to use the indexes.
"""

from __future__ import annotations

import asyncio
import uuid

import asyncpg

from peers.counting import URL, done

BATCH = 100
SCHEMA = """
CREATE TABLE job (
  id uuid PRIMARY KEY, state smallint NOT NULL, priority int NOT NULL, worker bigint,
  delivery int NOT NULL, task text NOT NULL, payload bytea NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX job_ready ON job (priority, id) WHERE state = 0;
CREATE TABLE history (
  id uuid PRIMARY KEY, state smallint NOT NULL, task text NOT NULL, payload bytea NOT NULL,
  finished_at timestamptz NOT NULL
);
"""
INSERT = """
INSERT INTO job SELECT id, 0, 0, NULL, 0, 'bench.noop', payload
FROM unnest($1::uuid[], $2::bytea[]) AS new (id, payload)
"""
EXCHANGE = """
WITH gone AS (
  DELETE FROM job WHERE id = ANY($1::uuid[]) AND worker = 1 RETURNING id, task, payload
), kept AS (
  INSERT INTO history SELECT id, 3, task, payload, now() FROM gone
), chosen AS MATERIALIZED (
  SELECT id FROM job WHERE state = 0 ORDER BY priority, id LIMIT 100 FOR UPDATE SKIP LOCKED
)
UPDATE job SET state = 2, worker = 1, delivery = delivery + 1 FROM chosen WHERE job.id = chosen.id
RETURNING job.id, payload
"""
PLANNER = dict.fromkeys(("enable_seqscan", "enable_bitmapscan", "enable_sort"), "off")


async def prepare() -> None:
    """Make the tables."""
    connection = await asyncpg.connect(URL)
    await connection.execute(SCHEMA)
    await connection.close()


async def enqueue(jobs: int) -> None:
    """Insert in batches."""
    connection = await asyncpg.connect(URL)
    for first in range(0, jobs, BATCH):
        numbers = range(first, min(first + BATCH, jobs))
        ids = [uuid.UUID(int=number) for number in numbers]
        await connection.execute(INSERT, ids, [b"%d" % number for number in numbers])
    await connection.close()


async def drain() -> None:
    """Claim and settle until there is nothing left."""
    connection = await asyncpg.connect(URL, server_settings=PLANNER)
    claimed = await connection.fetch(EXCHANGE, [])
    while claimed:
        for row in claimed:
            done(int(row["payload"]))
        claimed = await connection.fetch(EXCHANGE, [row["id"] for row in claimed])
    await connection.close()


if __name__ == "__main__":
    asyncio.run(drain())
