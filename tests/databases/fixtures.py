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
from tests.databases.postgres import HARMLESS, Database, PostgresServer, binaries, newest

PostgresOf = Callable[[str], PostgresServer]
DatabaseOf = Callable[[str], Database]


@pytest.fixture
def short() -> Generator[Path]:
    """A directory whose path leaves room for the name of a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="lq-") as directory:
        yield Path(directory)


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
    return database_of(max(binaries(), key=int))


@pytest.fixture
def own_postgres(short: Path) -> Generator[PostgresServer]:
    """A server of one test, which may do with it what it likes; it syncs."""
    with PostgresServer(newest(), short / "own") as server:
        yield server
