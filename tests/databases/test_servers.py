"""The servers that the tests start do what the tests think they do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import asyncpg
import psutil
import psycopg
import pymysql
import pytest
from tests.databases import mariadb as maria, program
from tests.databases.fixtures import VERSIONS, DatabaseOf
from tests.databases.mariadb import MariaServer
from tests.databases.pgbouncer import Bouncer
from tests.databases.postgres import Database, PostgresServer, binaries, newest
from tests.databases.program import HOST, ServerError, free_port, runs, until

pytestmark = pytest.mark.service

ROOT = Path(__file__).parents[2]

every_version = pytest.mark.parametrize("version", VERSIONS)


@every_version
def test_what_was_committed_is_there_after_a_kill(version: str, short: Path) -> None:
    with PostgresServer(binaries()[version], short / "own") as server:
        port, database = server.port, server.create_database()
        database.ask("CREATE TABLE t AS SELECT 1 AS a")
        server.kill()
        with pytest.raises(psycopg.OperationalError, match="refused"):
            server.ask("SELECT 1")

        server.restart()

        assert server.port == port
        assert database.ask("SELECT a FROM t") == [(1,)]
        assert server.ask("SHOW server_version_num")[0][0].startswith(version)
        log = (server.directory / "log").read_text()  # not its end only: it refuses for a while
        assert "not properly shut down" in log


@every_version
async def test_the_owner_of_a_database_is_no_superuser(
    version: str, database_of: DatabaseOf
) -> None:
    database = database_of(version)
    connection = await asyncpg.connect(database.url)
    try:
        await connection.execute("CREATE SCHEMA s CREATE TABLE s.t (a int)")
        rights = await connection.fetchrow("SELECT * FROM pg_roles WHERE rolname = current_user")
    finally:
        await connection.close()

    assert rights is not None
    assert not any(rights[right] for right in ("rolsuper", "rolcreaterole", "rolcreatedb"))


@pytest.mark.service
async def test_a_connection_that_is_left_open_is_told(own_postgres: PostgresServer) -> None:
    database = own_postgres.create_database()
    connection = await asyncpg.connect(database.url)
    await connection.execute("SELECT 'mine'")

    with pytest.raises(AssertionError, match="'mine'"):
        database.drop()

    assert own_postgres.ask("SELECT FROM pg_database WHERE datname = %s", database.name) == []
    connection.terminate()


async def test_connections_are_ended_from_the_other_side(database: Database) -> None:
    connection = await asyncpg.connect(database.url)

    assert database.terminate() == 1

    with pytest.raises(asyncpg.PostgresConnectionError):
        await connection.execute("SELECT 1")
    await connection.close()
    until(lambda: not database.connections())


def test_it_is_reached_by_its_socket(own_postgres: PostgresServer) -> None:
    where = f"host={own_postgres.socket} port={own_postgres.port} user=app dbname=postgres"
    with psycopg.connect(where) as connection:
        assert connection.execute("SELECT inet_client_addr()").fetchone() == (None,)


def test_another_port_is_taken_if_the_first_is_not_free(
    own_postgres: PostgresServer, short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = iter([own_postgres.port, free_port()])
    monkeypatch.setattr(program, "free_port", lambda: next(chosen))

    with PostgresServer(newest(), short / "other") as other:
        assert other.port != own_postgres.port
        assert other.ask("SELECT 1") == own_postgres.ask("SELECT 1")


def test_an_option_that_is_wrong_is_told(short: Path) -> None:
    with pytest.raises(ServerError, match="fsync"):
        PostgresServer(newest(), short / "own", "-c", "fsync=sometimes").start()


def test_a_server_dies_with_whoever_started_it(short: Path) -> None:
    script = (
        "import pathlib, signal\nfrom tests.databases.postgres import *\n"
        f"server = PostgresServer(newest(), pathlib.Path({str(short / 'own')!r}))\nserver.start()\n"
        "print(server.pid, flush=True)\nsignal.pause()"
    )
    environment = {**os.environ, "TMPDIR": str(short)}  # what it leaves
    with subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        server = psutil.Process(int(parent.stdout.readline()))
        family = [server, *server.children()]
        assert all(map(runs, family))
        assert len(family) > 1

        parent.send_signal(signal.SIGKILL)

    assert until(lambda: not any(map(runs, family)))


async def test_a_pooler_hands_out_connections_by_transaction(
    bouncer: Bouncer, database: Database
) -> None:
    one, other = [
        await asyncpg.connect(bouncer.dsn(database), statement_cache_size=0) for _ in range(2)
    ]
    try:
        first = await one.fetchval("SELECT pg_backend_pid()")
        assert await other.fetchval("SELECT pg_backend_pid()") == first
        async with one.transaction():
            assert await one.fetchval("SELECT pg_backend_pid()") == first
            assert await other.fetchval("SELECT pg_backend_pid()") != first
    finally:
        await one.close()
        await other.close()


def test_mariadb_has_what_was_committed_after_a_kill(own_mariadb: MariaServer) -> None:
    port, database = own_mariadb.port, own_mariadb.create_database()
    database.ask("CREATE TABLE t AS SELECT 1 AS a")
    own_mariadb.kill()
    with pytest.raises(pymysql.OperationalError, match="refused"):
        own_mariadb.ask("SELECT 1")

    own_mariadb.restart()

    assert own_mariadb.port == port
    assert database.ask("SELECT a FROM t") == [(1,)]
    assert "crash recovery" in own_mariadb.log()
    assert own_mariadb.socket.is_socket()


def test_the_user_of_a_mariadb_database_sees_no_other(
    mariadb: MariaServer, maria_database: maria.Database
) -> None:
    with (
        closing(
            pymysql.connect(
                host=HOST, port=mariadb.port, user=maria.APP, database=maria_database.name
            )
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SHOW DATABASES")
        seen = {name for (name,) in cursor.fetchall()}
        connection_of_ours = maria_database.connections()

        assert maria_database.terminate() == len(connection_of_ours) == 1
        with pytest.raises(pymysql.OperationalError, match=r"Lost|gone away"):
            cursor.execute("SELECT 1")

    assert seen - {"information_schema", "performance_schema"} == {maria_database.name}
