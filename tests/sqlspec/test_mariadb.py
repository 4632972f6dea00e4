"""Jobs in a database of MariaDB or MySQL, through either driver of SQLSpec."""

from __future__ import annotations

import itertools
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from inspect import isawaitable
from pathlib import Path
from typing import Any

import pytest
from tests.databases import mariadb
from tests.databases.mariadb import MariaServer
from tests.sqlspec.places import MARIADB, where

from litestar_queues_core.errors import (
    ConfigError,
    KeyBusyError,
    SchemaError,
    SettlementRefused,
    StoreUnavailable,
)
from litestar_queues_core.settlements import Kind
from litestar_queues_core.testing import (
    BackendConformance,
    Claimer,
    StoreConformance,
    make_job,
    make_jobs,
    settled,
)
from litestar_queues_core.testing.model import check_model
from litestar_queues_core.testing.model.checking import Fresh
from litestar_queues_sql.database import PREFIX, DataRefused
from litestar_queues_sql.drivers.mysql import filled, literal
from litestar_queues_sql.mysql import MySQLStore
from litestar_queues_sql.mysql.opening import check_version
from litestar_queues_sqlspec import SQLSpecBackendConfig
from litestar_queues_sqlspec.adapters import adapter_of
from litestar_queues_sqlspec.mysql import MySQLConnections

pytestmark = pytest.mark.service


@pytest.fixture(params=["asyncmy", pytest.param("aiomysql", marks=pytest.mark.service)])
def config(request: pytest.FixtureRequest, maria_database: mariadb.Database) -> Any:
    return MARIADB[request.param](maria_database)


@pytest.mark.service
class TestMySQLStore(StoreConformance):
    @pytest.fixture
    async def store(self, config: Any) -> AsyncGenerator[MySQLStore]:
        async with SQLSpecBackendConfig(config=config, create_schema=True).open() as store:
            assert isinstance(store, MySQLStore)
            yield store


class TestMySQLBackend(BackendConformance):
    @pytest.fixture
    def backend(self, config: Any) -> SQLSpecBackendConfig:
        return SQLSpecBackendConfig(config=config, create_schema=True)


@pytest.fixture
def asyncmy(maria_database: mariadb.Database) -> SQLSpecBackendConfig:
    return SQLSpecBackendConfig(config=MARIADB["asyncmy"](maria_database), create_schema=True)


@pytest.fixture
def fresh(maria_database: mariadb.Database) -> Fresh:
    """Opens a store on tables of its own, all in one database."""
    numbers = itertools.count()

    @asynccontextmanager
    async def open_() -> AsyncGenerator[MySQLStore]:
        config = MARIADB["asyncmy"](maria_database)
        prefix = f"q{next(numbers)}_"
        backend = SQLSpecBackendConfig(config=config, prefix=prefix, create_schema=True)
        async with backend.open() as store:
            assert isinstance(store, MySQLStore)
            yield store

    return open_


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "scripts", [pytest.param(2, id="few"), pytest.param(15, id="many", marks=pytest.mark.service)]
)
async def test_seeded_scripts_agree(scripts: int, fresh: Fresh) -> None:
    report = await check_model(fresh, scripts=scripts, steps=80)

    assert report.steps.total() == scripts * 80
    assert report.lacks == ()


async def test_migrations_make_the_tables(maria_database: mariadb.Database, tmp_path: Path) -> None:
    config = MARIADB["asyncmy"](maria_database)
    config.migration_config = {"script_location": str(tmp_path)}
    backend = SQLSpecBackendConfig(config=config, create_schema=False)
    with pytest.raises(SchemaError, match="run your migrations"):
        async with backend.open():
            pass

    for _ in range(2):
        done = config.migrate_up(echo=False)
        assert isawaitable(done)
        await done
    await config.close_pool()

    async with backend.open() as store:
        await store.enqueue([make_job()])
        assert len(await (await Claimer(store).open()).claim()) == 1


async def test_tables_that_were_begun_are_finished(
    asyncmy: SQLSpecBackendConfig, maria_database: mariadb.Database
) -> None:
    async with asyncmy.open():
        pass
    for name in ("schema", "signal", "event"):
        maria_database.ask(f"DROP TABLE {PREFIX}{name}")

    async with asyncmy.open() as store:
        (answer,) = await store.enqueue([make_job()])
        assert answer.created
        assert len(await (await Claimer(store).open()).claim()) == 1
    for name in ("schema", "signal", "event"):
        maria_database.ask(f"SELECT COUNT(*) FROM {PREFIX}{name}")  # noqa: S608


async def test_names_that_differ_only_in_their_ends_are_two(asyncmy: SQLSpecBackendConfig) -> None:
    keys = ["one", "one ", "One", "\u00f6ne", "o\u0308ne", "one\\", "one'"]
    async with asyncmy.open() as store:
        answers = await store.enqueue([make_job(key=key) for key in keys])
        again = await store.enqueue([make_job(key=key) for key in keys])

    assert [one.created for one in answers] == [True] * len(keys)
    assert [one.id for one in again] == [one.id for one in answers]


async def test_what_is_too_long_harms_no_neighbour(asyncmy: SQLSpecBackendConfig) -> None:
    bad, good = make_job(queue="q" * 2000), make_jobs(3)
    async with asyncmy.open() as store:
        answers = await store.enqueue([good[0], bad, *good[1:]])
        claimed = await (await Claimer(store).open()).claim()

    assert [one.created for one in answers] == [True, False, True, True]
    assert isinstance(answers[1].error, DataRefused)
    assert [one.id for one in claimed] == [job.id for job in good]


async def test_texts_and_bytes_are_told_apart_also_in_a_union(
    config: Any, maria_database: mariadb.Database
) -> None:
    maria_database.ask("CREATE TABLE both_kinds (a VARBINARY(1020), b LONGBLOB)")
    maria_database.ask("INSERT INTO both_kinds VALUES ('text', 'bytes')")
    connection = await MySQLConnections(config, adapter_of(config).name).open()
    rows = "SELECT a, b FROM both_kinds"
    try:
        for query in (rows, f"{rows} UNION ALL {rows}"):
            assert [*(await connection.fetch(query, []))[0]] == ["text", b"bytes"]
    finally:
        await connection.close()


@pytest.mark.parametrize("size", [10 * 2**20, 20 * 2**20], ids=["one packet", "more"])
async def test_what_the_server_takes_in_no_packet_harms_no_neighbour(
    config: Any, size: int
) -> None:
    async with SQLSpecBackendConfig(config=config, create_schema=True).open() as store:
        good, bad = make_jobs(2), make_job(payload=bytes(size))
        answers = await store.enqueue([good[0], bad, good[1]])
        claimer = await Claimer(store).open()
        one, other = await claimer.claim()
        batch = [settled(one, Kind.COMPLETE), settled(other, Kind.COMPLETE, value=bytes(size))]

        with pytest.raises(SettlementRefused, match="max_allowed_packet") as refused:
            await claimer.exchange(batch)
        assert not (await claimer.exchange(batch[:1])).rejected

    assert [answer.created for answer in answers] == [True, False, True]
    assert isinstance(answers[1].error, DataRefused)
    assert "raise" in str(answers[1].error)
    assert "max_allowed_packet" in str(answers[1].error)
    assert refused.value.ids == [other.id]


async def test_a_batch_that_the_server_takes_in_no_packet(asyncmy: SQLSpecBackendConfig) -> None:
    jobs = [make_job(payload=bytes(2**20)) for _ in range(20)]
    async with asyncmy.open() as store:
        answers = await store.enqueue(jobs)
        found = await store.get([job.id for job in jobs])

    assert all(answer.created for answer in answers)
    assert all(job and len(job.new.payload) == 2**20 for job in found)


async def test_packets_that_the_server_has_been_told_to_take(own_mariadb: MariaServer) -> None:
    own_mariadb.ask("SET GLOBAL max_allowed_packet = 67108864")
    config = MARIADB["asyncmy"](own_mariadb.create_database())
    job = make_job(payload=bytes(20 * 2**20))
    async with SQLSpecBackendConfig(config=config, create_schema=True).open() as store:
        (answer,) = await store.enqueue([job])
        (found,) = await store.get([job.id])

    assert answer.created
    assert found is not None
    assert found.new.payload == job.payload


async def test_a_key_in_an_open_transaction_is_busy(
    asyncmy: SQLSpecBackendConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "litestar_queues_sqlspec.mysql.SETTINGS",
        "SET SESSION innodb_lock_wait_timeout = 1",
    )
    raw = await asyncmy.config.create_connection()
    async with asyncmy.open() as store:
        async with raw.cursor() as cursor:
            await cursor.execute("BEGIN")
            await cursor.execute(
                f"INSERT INTO {PREFIX}unique_key (name, job, task) VALUES ('one', 'x', 'y')"  # noqa: S608
            )
            first, second = await store.enqueue([make_job(key="one"), make_job(key="two")])
        await raw.rollback()
        await raw.ensure_closed()

    assert isinstance(first.error, KeyBusyError)
    assert second.created


async def test_the_pool_of_the_application_is_used_and_stays_open(
    asyncmy: SQLSpecBackendConfig,
) -> None:
    pool = await asyncmy.config.provide_pool()
    async with asyncmy.open() as store:
        await store.enqueue(make_jobs(3))
        assert (await store.count()).counts[0].value == 3
        assert pool.size == pool.freesize >= 1
    async with asyncmy.config.provide_session() as session:
        assert await session.select_value("SELECT 1") == 1
        assert await session.select_value("SELECT @@innodb_lock_wait_timeout") == 50
    await asyncmy.config.close_pool()


async def test_connections_that_are_ended_are_made_again(
    asyncmy: SQLSpecBackendConfig, maria_database: mariadb.Database
) -> None:
    async with asyncmy.open() as store:
        await store.enqueue(make_jobs(3))
        maria_database.terminate()
        with pytest.raises(StoreUnavailable):
            await store.enqueue(make_jobs(3))
        await store.enqueue(make_jobs(3))
        claimer = await Claimer(store).open()
        assert len(await claimer.claim()) == 6


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"user": "nobody"}, ConfigError, "user or the password"),
        ({"database": "nowhere"}, ConfigError, "database"),
        ({"port": 1}, StoreUnavailable, "cannot be reached"),
    ],
)
@pytest.mark.parametrize("adapter", MARIADB)
async def test_what_keeps_it_from_connecting_is_said(
    adapter: str,
    maria_database: mariadb.Database,
    changes: dict[str, object],
    error: type[Exception],
    words: str,
) -> None:
    kind = type(MARIADB[adapter](maria_database))
    config = kind(connection_config={**where(maria_database), **changes})
    with pytest.raises(error, match=words):
        async with SQLSpecBackendConfig(config=config, create_schema=True).open():
            pass


@pytest.mark.skipif(
    not mariadb.binary() or mariadb.kind() != "mysql" or find_spec("cryptography") is not None,
    reason="asks MySQL without the package cryptography",
)
@pytest.mark.parametrize("adapter", MARIADB)
async def test_a_password_wants_cryptography_or_tls(
    adapter: str, maria_database: mariadb.Database
) -> None:
    name = maria_database.name
    maria_database.ask(f"CREATE USER {name} IDENTIFIED BY 's3cret'")
    maria_database.ask(f"GRANT ALL ON {name}.* TO {name}")
    kind = type(MARIADB[adapter](maria_database))
    settings = {**where(maria_database), "user": name, "password": "s3cret"}
    encrypted = ssl.create_default_context()
    encrypted.check_hostname, encrypted.verify_mode = False, ssl.CERT_NONE

    with pytest.raises(ConfigError, match=r"'cryptography'.*install it, or connect with TLS"):
        async with SQLSpecBackendConfig(config=kind(connection_config=settings)).open():
            pass
    config = kind(connection_config={**settings, "ssl": encrypted})
    async with SQLSpecBackendConfig(config=config, create_schema=True).open() as store:
        (answer,) = await store.enqueue([make_job()])

    assert answer.created
    maria_database.ask(f"DROP USER {name}")


@pytest.mark.parametrize(
    ("version", "fits"),
    [
        ("8.0.39", True),
        ("9.4.0-commercial", True),
        ("10.6.0-MariaDB", True),
        ("5.5.5-10.11.19-MariaDB-log", True),
        ("5.7.44-log", False),
        ("10.5.9-MariaDB", False),
        ("8.0.11-TiDB-v8.5.0", False),
        ("strange", False),
    ],
)
def test_servers_are_told_by_their_versions(version: str, fits: bool) -> None:
    if fits:
        check_version(version)
    else:
        with pytest.raises(ConfigError):
            check_version(version)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "NULL"),
        (True, "1"),
        (-5, "-5"),
        ("plain text: 1+1", "'plain text: 1+1'"),
        ("'; DROP", "x'273b2044524f50'"),
        ("\\", "x'5c'"),
        ("\u00f6", "x'c3b6'"),
        ("", "''"),
        (b"\x00?", "x'003f'"),
        (["a", 1], "('a', 1)"),
        ([], "(NULL)"),
    ],
)
def test_values_are_written_so_that_nothing_can_read_them_otherwise(
    value: object, written: str
) -> None:
    assert literal(value) == written
    assert filled("SELECT ?", [value]) == f"SELECT {written}"


def test_values_without_places_are_refused() -> None:
    with pytest.raises(ValueError, match="1 values are wanted, not 2"):
        filled("SELECT ?", [1, 2])
    with pytest.raises(TypeError):
        literal(1.5)
