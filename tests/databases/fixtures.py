"""Fixtures for whoever tests on database servers; a ``conftest.py`` imports those it wants.

Servers that many tests share are started when the first asks, once in a worker process.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Generator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.databases import mariadb as maria, pgbouncer
from tests.databases.mariadb import MariaServer
from tests.databases.pgbouncer import Bouncer
from tests.databases.postgres import HARMLESS, Database, PostgresServer, binaries, newest

NEWEST = max(binaries(), key=int)
VERSIONS = [
    pytest.param(version, marks=[] if version == NEWEST else [pytest.mark.service])
    for version in binaries()
]
"""Of PostgreSQL, for ``pytest.mark.parametrize``: each run has the newest."""

PostgresOf = Callable[[str], PostgresServer]
DatabaseOf = Callable[[str], Database]


@pytest.fixture(scope="session")
def postgres_of() -> Generator[PostgresOf]:
    """Servers by version: ``postgres_of("16")``.  They must not be harmed."""
    with tempfile.TemporaryDirectory(prefix="lq-") as directory, ExitStack() as running:

        @functools.cache
        def server_of(version: str) -> PostgresServer:
            server = PostgresServer(binaries()[version], Path(directory, version), *HARMLESS)
            return running.enter_context(server)

        yield server_of


@pytest.fixture
def database_of(postgres_of: PostgresOf) -> Generator[DatabaseOf]:
    """Empty databases by version of the server: another one with each call."""
    with ExitStack() as made:
        yield lambda version: made.enter_context(postgres_of(version).database())


@pytest.fixture
def database(database_of: DatabaseOf) -> Database:
    """An empty database on the newest server; a connection that is left open is an error."""
    return database_of(NEWEST)


@pytest.fixture
def own_postgres(short: Path) -> Generator[PostgresServer]:
    """A server of one test, which may do with it what it likes; it syncs."""
    with PostgresServer(newest(), short / "own") as server:
        yield server


@pytest.fixture
def bouncer(database: Database, short: Path) -> Generator[Bouncer]:
    """A pooler in transaction mode before `database`; skips where there is none."""
    if not pgbouncer.binary():
        pytest.skip("there is no pgbouncer on the path")
    with Bouncer(database.server, short / "bouncer") as bouncer:
        yield bouncer


@pytest.fixture(scope="session")
def mariadb() -> Generator[MariaServer]:
    """A server that must not be harmed; skips where there is none."""
    if not maria.binary():
        pytest.skip("there is no MariaDB or MySQL on the path")
    with tempfile.TemporaryDirectory(prefix="lq-") as directory, ExitStack() as running:
        server = MariaServer(Path(directory, "maria"), *maria.HARMLESS)
        yield running.enter_context(server)


@pytest.fixture
def maria_database(mariadb: MariaServer) -> Generator[maria.Database]:
    """An empty database on MariaDB or MySQL."""
    with mariadb.database() as database:
        yield database


@pytest.fixture
def own_mariadb(short: Path) -> Generator[MariaServer]:
    """A server of one test, which may do with it what it likes; it syncs."""
    if not maria.binary():
        pytest.skip("there is no MariaDB or MySQL on the path")
    with MariaServer(short / "own") as server:
        yield server
