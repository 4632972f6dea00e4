"""What ``check`` says of a PostgreSQL server, and that the fix it names is one."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlspec.adapters.asyncpg import AsyncpgConfig
from sqlspec.adapters.psycopg import PsycopgAsyncConfig
from tests.databases.pgbouncer import Bouncer
from tests.databases.postgres import Database, PostgresServer, newest
from tests.databases.program import give, run, until

from litestar_queues_core.findings import Finding, SupportsCheck
from litestar_queues_sql.database import PREFIX
from litestar_queues_sql.postgres import checks
from litestar_queues_sql.postgres.dialect import POSTGRES
from litestar_queues_sql.structure import keys
from litestar_queues_sqlspec import SQLSpecBackendConfig

KEYS = """
    SELECT conrelid::regclass, conname FROM pg_constraint
    WHERE conrelid::regclass::text LIKE %s AND contype IN ('p', 'u')
"""
INDEXES = "SELECT indexname FROM pg_indexes WHERE tablename LIKE %s"
OURS = f"{PREFIX}%"


def backend_of(database: Database) -> SQLSpecBackendConfig:
    config = AsyncpgConfig(connection_config={"dsn": database.url})
    return SQLSpecBackendConfig(config=config, create_schema=True)


async def look(backend: SQLSpecBackendConfig) -> Sequence[Finding]:
    async with backend.open() as store:
        assert isinstance(store, SupportsCheck)
        return await store.check()


async def bad(backend: SQLSpecBackendConfig, about: str) -> Sequence[Finding]:
    """Return what is wrong with one thing; each has a fix."""
    found = [one for one in await look(backend) if one.about == about and one.level != "ok"]
    assert all(one.fix for one in found)
    return found


def fix(database: Database, finding: Finding) -> None:
    database.ask(finding.fix.removeprefix("execute "))


@pytest.fixture
def snapshot(database: Database) -> Generator[psycopg.Connection[Any]]:
    """Somebody who has a snapshot, and does nothing."""
    with closing(psycopg.connect(database.url, application_name="report")) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("SELECT 1")
        yield connection


async def test_a_server_with_which_nothing_is_wrong(own_postgres: PostgresServer) -> None:
    database = own_postgres.create_database()
    found = await look(backend_of(database))

    assert {one.level for one in found} == {"ok"}
    about = [one.about for one in found]
    assert about == ["schema", "indexes", "transactions", "pooler", "notifications"]
    assert found[-1].message == "are heard"


async def test_keys_and_indexes_that_are_missing(
    database: Database, backend: SQLSpecBackendConfig
) -> None:
    await look(backend)
    for table, name in database.ask(KEYS, OURS):
        database.ask(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    for (name,) in database.ask(INDEXES, OURS):
        database.ask(f"DROP INDEX {name}")

    found = await bad(backend, "indexes")
    for one in found:
        fix(database, one)

    assert len(found) == len(keys(POSTGRES))
    assert {one.level for one in found} == {"problem"}
    assert await bad(backend, "indexes") == []


async def test_an_index_that_is_not_what_it_should_be(
    database: Database, backend: SQLSpecBackendConfig
) -> None:
    await look(backend)
    database.ask(f"DROP INDEX {PREFIX}job_ready")
    database.ask(f"CREATE INDEX {PREFIX}job_ready ON {PREFIX}job (lane, job_rank, due_ms, id)")

    (found,) = await bad(backend, "indexes")

    assert found.message.startswith(f"table {PREFIX}job has no index on (lane, job_rank, due_ms")
    assert "WHERE status = 0" in found.fix


async def test_an_index_that_is_invalid(database: Database, backend: SQLSpecBackendConfig) -> None:
    await look(backend)
    database.ask(
        f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{PREFIX}job_ready'::regclass"  # noqa: S608
    )

    (found,) = await bad(backend, "indexes")
    fix(database, found)

    assert f"index {PREFIX}job_ready is there, but invalid" in found.message
    assert await bad(backend, "indexes") == []


async def test_tables_of_a_newer_library(database: Database, backend: SQLSpecBackendConfig) -> None:
    await look(backend)
    database.ask(f"UPDATE {PREFIX}schema SET version = version + 1")  # noqa: S608

    (found,) = await bad(backend, "schema")

    assert found.level == "warning"
    assert "upgrade litestar-queues-sql" in found.fix


async def test_a_transaction_that_is_left_open(
    database: Database,
    backend: SQLSpecBackendConfig,
    snapshot: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert await bad(backend, "transactions") == []
    monkeypatch.setattr(checks, "LONG_SECONDS", -1)

    (found,) = await bad(backend, "transactions")
    process = snapshot.info.backend_pid
    database.ask(f"SELECT pg_terminate_backend({process}, 5000)")

    assert f"process {process} of 'app' (report) has had a transaction open" in found.message
    assert "(idle in transaction)" in found.message
    assert f"SELECT pg_terminate_backend({process})" in found.fix
    assert await bad(backend, "transactions") == []


async def test_a_transaction_of_which_the_role_may_see_little(
    database: Database, backend: SQLSpecBackendConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "LONG_AGE", 3)
    with psycopg.connect(database.server.dsn(database.name, user="postgres")) as other:
        other.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        other.execute("SELECT 1")
        for _ in range(5):
            database.ask("SELECT pg_current_xact_id()")

        (found,) = await bad(backend, "transactions")

        assert f"process {other.info.backend_pid} of 'postgres'" in found.message
    assert "others have begun" in found.message


async def test_a_transaction_that_holds_nothing_is_no_matter(
    database: Database, backend: SQLSpecBackendConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "LONG_SECONDS", -1)
    with psycopg.connect(database.url) as other:
        other.execute("SELECT 1")  # READ COMMITTED: its snapshot is gone with the statement

        assert await bad(backend, "transactions") == []


async def test_rows_that_vacuum_does_not_remove(
    database: Database, backend: SQLSpecBackendConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await look(backend)
    monkeypatch.setattr(checks, "DEAD_ROWS", 500)
    database.ask(f"ALTER TABLE {PREFIX}unique_key SET (autovacuum_enabled = off)")
    database.ask(
        f"INSERT INTO {PREFIX}unique_key (name, job, task) "  # noqa: S608
        "SELECT n, n, n FROM generate_series(1, 1000) AS numbers (n)"
    )
    database.ask(f"DELETE FROM {PREFIX}unique_key")  # noqa: S608

    (found,) = await bad(backend, "dead rows")
    database.ask(f"VACUUM {PREFIX}unique_key")

    assert f"table {PREFIX}unique_key has 1,300 rows that were deleted" in found.message
    assert found.fix.endswith(f"execute VACUUM {PREFIX}unique_key")
    assert await bad(backend, "dead rows") == []


async def test_settings_that_lose_jobs(database: Database, backend: SQLSpecBackendConfig) -> None:
    database.ask(f"ALTER ROLE app IN DATABASE {database.name} SET synchronous_commit = off")

    found = await bad(backend, "settings")  # the server of the tests syncs nothing

    assert [one.message.split()[0] for one in found] == [
        "fsync", "full_page_writes", "synchronous_commit",
    ]  # fmt: skip


async def test_a_transaction_that_was_prepared(
    short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "LONG_SECONDS", -1)
    with PostgresServer(newest(), short / "own", "-c", "max_prepared_transactions=2") as server:
        database = server.create_database()
        backend = backend_of(database)
        database.ask("BEGIN; SELECT pg_current_xact_id(); PREPARE TRANSACTION 'two phases'")

        (found,) = await bad(backend, "transactions")
        database.ask("ROLLBACK PREPARED 'two phases'")

        assert "the prepared transaction 'two phases' of 'postgres'" in found.message
        assert "ROLLBACK PREPARED 'two phases'" in found.fix
        assert await bad(backend, "transactions") == []


@pytest.mark.service
async def test_a_replica_that_left_its_slot_behind(short: Path) -> None:
    feedback = ("hot_standby_feedback=on", "wal_receiver_status_interval=1")
    with PostgresServer(newest(), short / "own") as server:
        database = server.create_database()
        backend = backend_of(database)
        options = [word for one in feedback for word in ("-c", one)]
        replica = PostgresServer(newest(), short / "replica", *options)
        give(replica.directory)
        copying = ("-R", "-C", "-S", "gone", "-c", "fast", "-d", server.url)
        run(newest() / "pg_basebackup", "-D", replica.data, *copying)
        with replica:
            until(lambda: server.ask("SELECT 1 FROM pg_replication_slots WHERE xmin IS NOT NULL"))
            assert await bad(backend, "transactions") == []

        (found,) = await bad(backend, "transactions")
        database.ask(found.fix.rpartition("execute ")[2])

        assert "the replication slot 'gone' is used by nobody and wants rows" in found.message
        assert await bad(backend, "transactions") == []


def asyncpg_of(dsn: str, **features: str) -> AsyncpgConfig:
    return AsyncpgConfig(connection_config={"dsn": dsn}, driver_features=features)


def psycopg_of(dsn: str, **features: str) -> PsycopgAsyncConfig:
    return PsycopgAsyncConfig(connection_config={"conninfo": dsn}, driver_features=features)


@pytest.mark.parametrize("config_of", [asyncpg_of, psycopg_of])
async def test_a_pooler_of_transactions(
    database: Database, bouncer: Bouncer, config_of: Any
) -> None:
    async def said(**features: str) -> dict[str, Finding]:
        config = config_of(bouncer.dsn(database), **features)
        found = await look(SQLSpecBackendConfig(config=config, create_schema=True))
        return {one.about: one for one in found}

    unsaid = await said()
    declared = await said(pooler_mode="transaction")
    past_it = await said(pooler_mode="transaction", direct_dsn=database.url)

    assert unsaid["pooler"].level == "problem"
    assert "'pooler_mode': 'transaction'" in unsaid["pooler"].fix
    assert unsaid["notifications"].level == "warning"
    assert "direct_dsn" in unsaid["notifications"].fix
    assert declared["pooler"] == Finding("ok", "pooler", "connections are pooled by transaction")
    assert declared["notifications"].message.startswith("are not used")
    assert past_it["pooler"] == declared["pooler"]
    assert past_it["notifications"].message == "are heard"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"size": 1}, "connections are pooled by transaction"),
        ({"mode": "session"}, "there is none that pools transactions"),
    ],
)
@pytest.mark.usefixtures("bouncer")
async def test_other_poolers(
    database: Database, short: Path, settings: dict[str, Any], said: str
) -> None:
    with Bouncer(database.server, short / "other", **settings) as other:
        config = asyncpg_of(other.dsn(database), pooler_mode="transaction")
        found = await look(SQLSpecBackendConfig(config=config, create_schema=True))

    assert Finding("ok", "pooler", said) in found
