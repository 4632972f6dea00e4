"""What is wrong is said at the start, with the fix; what is the application's stays its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlspec.adapters.asyncpg import AsyncpgConfig
from tests.databases.postgres import Database, PostgresServer

from litestar_queues_core.errors import ConfigError, QueueError, SchemaError, StoreUnavailable
from litestar_queues_core.model import Status
from litestar_queues_core.settlements import Kind
from litestar_queues_core.testing import Claimer, make_job, make_jobs
from litestar_queues_core.testing.jobs import settled
from litestar_queues_sql.database import PREFIX, DataRefused
from litestar_queues_sql.schema import MIGRATIONS
from litestar_queues_sqlspec import SQLSpecBackendConfig

SCHEMA = f"{PREFIX}schema"


def config_of(dsn: str, **fields: Any) -> SQLSpecBackendConfig:
    return SQLSpecBackendConfig(
        config=AsyncpgConfig(connection_config={"dsn": dsn, "timeout": 5}),
        **{"create_schema": True, **fields},
    )


async def refusal(config: SQLSpecBackendConfig) -> QueueError:
    with pytest.raises(QueueError) as caught:
        async with config.open():
            pass
    return caught.value


async def test_tables_that_are_missing(database: Database) -> None:
    error = await refusal(config_of(database.url, create_schema=False))

    assert isinstance(error, SchemaError)
    assert "create_schema=True" in str(error)
    assert database.ask("SELECT 1 FROM pg_class WHERE relname LIKE %s", f"{PREFIX}%") == []


async def test_tables_that_are_there_are_used_as_they_are(database: Database) -> None:
    async with config_of(database.url).open() as store:
        await store.enqueue([make_job()])
    async with config_of(database.url, create_schema=False).open() as store:
        assert len(await (await Claimer(store).open()).claim()) == 1


async def test_tables_that_are_too_old(database: Database) -> None:
    async with config_of(database.url).open():
        pass
    database.ask(f"UPDATE {SCHEMA} SET version = 0")  # noqa: S608

    error = await refusal(config_of(database.url, create_schema=False))

    assert isinstance(error, SchemaError)
    assert "create_schema=True" in str(error)


async def test_tables_that_are_too_new(database: Database) -> None:
    async with config_of(database.url).open():
        pass
    newer = MIGRATIONS[-1].version + 1
    database.ask(f"UPDATE {SCHEMA} SET version = {newer}, oldest_reader = {newer}")  # noqa: S608

    for create in (True, False):
        error = await refusal(config_of(database.url, create_schema=create))
        assert isinstance(error, SchemaError)
        assert "upgrade litestar-queues-sql" in str(error)


async def test_newer_tables_that_this_library_can_still_use(database: Database) -> None:
    async with config_of(database.url).open():
        pass
    database.ask(f"UPDATE {SCHEMA} SET version = version + 1")  # noqa: S608

    async with config_of(database.url).open() as store:
        await store.enqueue([make_job()])


async def test_many_may_create_the_tables_at_once(database: Database) -> None:
    async def open_and_enqueue() -> None:
        async with config_of(database.url).open() as store:
            await store.enqueue([make_job()])

    await asyncio.gather(*(open_and_enqueue() for _ in range(6)))

    assert database.ask(f"SELECT count(*) FROM {SCHEMA}") == [(1,)]  # noqa: S608


async def test_a_role_that_may_not_create_tables(database: Database) -> None:
    database.ask("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    database.ask("ALTER SCHEMA public OWNER TO postgres")
    database.ask("GRANT USAGE ON SCHEMA public TO app")

    error = await refusal(config_of(database.url))

    assert isinstance(error, ConfigError)
    assert "grant" in str(error)


async def test_a_role_that_may_not_write(database: Database) -> None:
    superuser = database.server.dsn(database.name, user="postgres")
    async with config_of(superuser).open():
        pass
    for table in ("schema", "job", "lease", "history", "answer", "unique_key"):
        database.ask(f"GRANT SELECT ON {PREFIX}{table} TO app")

    async with config_of(database.url, create_schema=False).open() as store:
        with pytest.raises(ConfigError, match="grant"):
            await store.enqueue([make_job()])


async def test_a_database_that_does_not_exist(database: Database) -> None:
    error = await refusal(config_of(database.server.dsn("nowhere")))

    assert isinstance(error, ConfigError)
    assert "create it" in str(error)


async def test_a_server_that_is_not_there() -> None:
    error = await refusal(config_of("postgresql://app@127.0.0.1:1/app"))

    assert isinstance(error, StoreUnavailable)


async def test_a_standby_or_a_database_that_only_lets_read(database: Database) -> None:
    async with config_of(database.url).open() as store:
        pass
    database.ask(f"ALTER DATABASE {database.name} SET default_transaction_read_only = on")

    async with config_of(database.url, create_schema=False).open() as store:
        with pytest.raises(StoreUnavailable, match="only lets read"):
            await store.enqueue([make_job()])


@pytest.mark.parametrize(
    ("adapter", "kind"),
    [
        ("adbc", "AdbcConfig"),
        ("bigquery", "BigQueryConfig"),
        ("cockroach_psycopg", "CockroachPsycopgAsyncConfig"),
        ("duckdb", "DuckDBConfig"),
        ("mysqlconnector", "MysqlConnectorAsyncConfig"),
        ("oracledb", "OracleAsyncConfig"),
        ("psqlpy", "PsqlpyConfig"),
        ("pymysql", "PyMysqlConfig"),
    ],
)
def test_adapters_that_are_not_supported_are_refused(adapter: str, kind: str) -> None:
    place = {"__module__": f"sqlspec.adapters.{adapter}.config"}  # its driver need not be here
    with pytest.raises(ConfigError, match=f"'{adapter}', which is not supported yet") as caught:
        SQLSpecBackendConfig(config=type(kind, (), place)())
    assert "AsyncpgConfig" in str(caught.value)


def test_what_is_no_configuration_is_refused() -> None:
    with pytest.raises(ConfigError, match="must be a configuration of SQLSpec"):
        SQLSpecBackendConfig(config="postgresql://app@localhost/app")


@pytest.mark.parametrize("prefix", ["", "1st", "a-b", 'x"; DROP TABLE y', "x" * 41])
def test_a_prefix_that_is_no_name(prefix: str) -> None:
    config = AsyncpgConfig(connection_config={"dsn": "postgresql://localhost/app"})
    with pytest.raises(ConfigError, match="prefix"):
        SQLSpecBackendConfig(config=config, prefix=prefix)


async def test_the_pool_of_the_application_is_used_and_stays_open(database: Database) -> None:
    config = AsyncpgConfig(connection_config={"dsn": database.url, "min_size": 1, "max_size": 2})
    pool = await config.create_pool()
    before = len(database.connections())

    async with SQLSpecBackendConfig(
        config=config, notify=False, create_schema=True
    ).open() as store:
        await store.count()
        during = len(database.connections())

    assert during == before
    assert not pool.is_closing()
    async with config.provide_session() as session:
        assert await session.select_value("SELECT 1") == 1
    await config.close_pool()


async def test_without_a_pool_none_is_opened(database: Database) -> None:
    config = AsyncpgConfig(connection_config={"dsn": database.url})

    async with SQLSpecBackendConfig(config=config, create_schema=True).open() as store:
        await store.enqueue([make_job()])
        await (await Claimer(store).open()).claim()
        await asyncio.gather(*(store.count() for _ in range(10)))
        assert len(database.connections()) <= 5

    assert config.connection_instance is None
    assert database.connections() == []


async def test_an_exhausted_pool_is_said_to_be_so(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = AsyncpgConfig(connection_config={"dsn": database.url, "min_size": 1, "max_size": 1})
    pool = await config.create_pool()
    async with SQLSpecBackendConfig(
        config=config, notify=False, create_schema=True
    ).open() as store:
        monkeypatch.setattr("litestar_queues_sql.server.DEADLINE", 0.2)
        async with pool.acquire():
            with pytest.raises(StoreUnavailable, match="pool may be exhausted"):
                await store.count()
        await store.count()
    await config.close_pool()


@pytest.mark.parametrize(
    "fields",
    [
        lambda: {"payload": "text"},
        lambda: {"due_ms": 2**63},
        lambda: {"queue": "nul\0nul"},
        lambda: {"queue": "\ud800"},
        lambda: {"priority": 2**40},
        lambda: {"queue": "".join(map(chr, range(0x4E00, 0x6000)))},
    ],
    ids=["payload", "instant", "nul", "surrogate", "priority", "long"],
)
async def test_a_job_that_the_database_cannot_hold_harms_no_neighbour(
    backend: SQLSpecBackendConfig, fields: Callable[[], dict[str, Any]]
) -> None:
    bad, good = make_job(**fields()), make_jobs(3)
    async with backend.open() as store:
        answers = await store.enqueue([good[0], bad, *good[1:]])
        claimed = await (await Claimer(store).open()).claim()

    assert [one.created for one in answers] == [True, False, True, True]
    assert isinstance(answers[1].error, DataRefused)
    assert [one.id for one in claimed] == [job.id for job in good]


async def test_a_settlement_that_the_database_cannot_hold_is_named(
    backend: SQLSpecBackendConfig,
) -> None:
    from litestar_queues_core.errors import SettlementRefused

    async with backend.open() as store:
        claimer = await Claimer(store).open()
        await store.enqueue(make_jobs(2))
        good, bad = await claimer.claim()
        batch = [
            settled(good, Kind.COMPLETE, value=b"1"),
            settled(bad, Kind.COMPLETE, value="text"),  # type: ignore[arg-type]
        ]

        with pytest.raises(SettlementRefused) as caught:
            await claimer.exchange(batch)
        statuses = [one and one.status for one in await store.get([good.id, bad.id])]

        assert caught.value.ids == [bad.id]
        assert statuses == [Status.RUNNING] * 2
        assert not (await claimer.exchange(batch[:1])).rejected


async def test_a_store_outlives_a_restart_of_its_server(own_postgres: PostgresServer) -> None:
    database = own_postgres.create_database()
    async with config_of(database.url).open() as store:
        claimer = await Claimer(store).open()
        await store.enqueue(make_jobs(4))
        job = (await claimer.claim(1))[0]
        await asyncio.to_thread(own_postgres.kill)
        with pytest.raises(StoreUnavailable):
            await claimer.settle(job, Kind.COMPLETE)
        with pytest.raises(StoreUnavailable):
            await store.count()
        await asyncio.to_thread(own_postgres.restart)

        again = await claimer.replay([settled(job, Kind.COMPLETE)])
        await store.enqueue([make_job()])

        assert not again.rejected
        assert len(await claimer.claim()) == 4
