"""Tables that are missing, older, newer or somebody else's, with each driver."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.sqlspec.places import MARIADB, POSTGRES, SQLITE

from litestar_queues_core.errors import ConfigError, SchemaError
from litestar_queues_core.testing import make_job
from litestar_queues_sql.database import PREFIX
from litestar_queues_sqlspec import SQLSpecBackendConfig


class Place(NamedTuple):
    """A database of a driver: how to open a store there, and how to ask it past the store.

    Attributes:
        forbid: What takes the right to write into the table of jobs from the role of the queue.
    """

    config: Any
    ask: Callable[[str], Sequence[Any]]
    forbid: Sequence[str] = ()

    def backend(self, *, create: bool = False) -> SQLSpecBackendConfig:
        return SQLSpecBackendConfig(config=self.config, create_schema=create)

    async def open(self, *, create: bool = False) -> None:
        async with self.backend(create=create).open() as store:
            await store.enqueue([make_job()])


def in_file(path: Path) -> Callable[[str], Sequence[Any]]:
    def ask(statement: str) -> Sequence[Any]:
        with closing(sqlite3.connect(path)) as connection, connection:
            return connection.execute(statement).fetchall()

    return ask


SERVERS = [
    *(pytest.param(name, marks=[pytest.mark.service] * (name != "psycopg")) for name in POSTGRES),
    *(pytest.param(name, marks=pytest.mark.service) for name in MARIADB),
]


@pytest.fixture(params=[*SERVERS, *SQLITE])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    driver: str = request.param
    if driver in SQLITE:
        path = tmp_path / "app.db"
        return Place(SQLITE[driver](path), in_file(path))
    if driver in POSTGRES:
        database = request.getfixturevalue("database")
        forbid = [
            f"ALTER TABLE {PREFIX}job OWNER TO postgres",
            f"REVOKE ALL ON {PREFIX}job FROM app",
        ]
        return Place(POSTGRES[driver](database), database.ask, forbid)
    database = request.getfixturevalue("maria_database")
    forbid = [
        f"REVOKE ALL ON {database.name}.* FROM app",
        f"GRANT SELECT ON {database.name}.* TO app",
    ]
    return Place(MARIADB[driver](database), database.ask, forbid)


async def test_they_are_missing(place: Place) -> None:
    with pytest.raises(SchemaError, match=r"create_schema=True.*run your migrations"):
        await place.open()


async def test_they_are_older(place: Place) -> None:
    await place.open(create=True)
    place.ask(f"UPDATE {PREFIX}schema SET version = 0")  # noqa: S608

    with pytest.raises(SchemaError, match=r"version 0, this library needs \d.*create_schema=True"):
        await place.open()


@pytest.mark.parametrize("create", [True, False])
async def test_they_are_newer(place: Place, create: bool) -> None:
    await place.open(create=True)
    place.ask(f"UPDATE {PREFIX}schema SET version = 99, oldest_reader = 98")  # noqa: S608

    with pytest.raises(SchemaError, match=r"version 99.*upgrade litestar-queues-sql here"):
        await place.open(create=create)


async def test_they_are_newer_and_can_be_used(place: Place) -> None:
    await place.open(create=True)
    place.ask(f"UPDATE {PREFIX}schema SET version = 99")  # noqa: S608

    await place.open()

    assert [tuple(row) for row in place.ask(f"SELECT count(*) FROM {PREFIX}job")] == [(2,)]  # noqa: S608


async def test_one_was_dropped(place: Place) -> None:
    await place.open(create=True)
    place.ask(f"DROP TABLE {PREFIX}job")

    with pytest.raises(SchemaError, match=f"{PREFIX}job"):
        await place.open()


@pytest.mark.parametrize("place", SERVERS, indirect=True)
async def test_the_role_may_not_write(place: Place) -> None:
    await place.open(create=True)
    for statement in place.forbid:
        place.ask(statement)

    with pytest.raises(ConfigError, match=r"denied.*grant the (role|user) of the queue"):
        await place.open()
