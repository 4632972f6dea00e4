"""What an exchange reads while somebody's transaction keeps all that was deleted."""

from __future__ import annotations

from collections.abc import Generator

import psycopg
import pytest
from tests.databases.postgres import Database

from litestar_queues_core.ids import new_lease_id
from litestar_queues_core.settlements import Kind
from litestar_queues_core.testing import Claimer, make_job
from litestar_queues_sql.database import PREFIX
from litestar_queues_sqlspec import SQLSpecBackendConfig

READ = "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = %s"
MANY, FEW = 200, 20


@pytest.fixture
def held(database: Database) -> Generator[Database]:
    """A database of which somebody has a snapshot."""
    with psycopg.connect(database.url) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("SELECT 1")
        yield database


@pytest.mark.parametrize("in_one_statement", [True, False])
async def test_what_was_told_before_is_not_read_again(
    backend: SQLSpecBackendConfig, held: Database, in_one_statement: bool
) -> None:
    async def exchange(times: int) -> int:
        """Exchange so often, and return how many entries the index of answers has given ever."""
        async with backend.open() as store:
            claimer = Claimer(store)
            claimer.lease, claimer.seq = lease, seqs[-1]
            await claimer.open()
            for _ in range(times):
                await store.enqueue([make_job()])
                (job,) = await claimer.claim()
                follow_ups = [] if in_one_statement else [make_job(queue="other")]
                await claimer.settle(job, Kind.COMPLETE, follow_ups=follow_ups)
                if follow_ups:
                    await store.cancel([follow_ups[0].id], running=False)
            seqs.append(claimer.seq)
        ((read,),) = held.ask(READ, f"{PREFIX}answer_pkey")  # who has left has told what it read
        assert isinstance(read, int)
        return read

    lease, seqs = new_lease_id(), [0]
    before = await exchange(MANY)

    assert await exchange(FEW) - before < 10 * FEW
