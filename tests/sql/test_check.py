"""What ``check`` says of a SQLite file, and that the fix it names is one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from litestar_queues_core.findings import Finding, SupportsCheck
from litestar_queues_core.testing import make_jobs
from litestar_queues_sql.database import PREFIX
from litestar_queues_sql.sqlite import SQLiteBackendConfig, checks
from litestar_queues_sql.sqlite.dialect import SQLITE
from litestar_queues_sql.structure import keys


async def look(path: Path) -> Sequence[Finding]:
    async with SQLiteBackendConfig(path=path).open() as store:
        assert isinstance(store, SupportsCheck)
        return await store.check()


async def bad(path: Path, about: str) -> Sequence[Finding]:
    """Return what is wrong with one thing; each has a fix."""
    found = [one for one in await look(path) if one.about == about and one.level != "ok"]
    assert all(one.fix for one in found)
    return found


@contextmanager
def file(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


async def test_a_file_with_which_nothing_is_wrong(path: Path) -> None:
    found = await look(path)

    assert [one.about for one in found] == ["schema", "indexes", "journal", "integrity"]
    assert {one.level for one in found} == {"ok"}
    assert found[2].message == "the journal mode is wal"


async def test_indexes_that_are_missing(path: Path) -> None:
    await look(path)
    with file(path) as connection:
        made = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        for (name,) in connection.execute(made).fetchall():
            connection.execute(f"DROP INDEX {name}")

    found = await bad(path, "indexes")
    with file(path) as connection:
        for one in found:
            connection.execute(one.fix.removeprefix("execute "))

    assert len(found) == len([key for key in keys(SQLITE) if key.made_by])
    assert {one.level for one in found} == {"problem"}
    assert await bad(path, "indexes") == []


async def test_a_unique_key_that_is_missing(path: Path) -> None:
    await look(path)
    with file(path) as connection:
        connection.execute(f"DROP TABLE {PREFIX}signal")
        connection.execute(f"CREATE TABLE {PREFIX}signal (topic TEXT, origin TEXT, raised INTEGER)")

    (found,) = await bad(path, "indexes")

    assert found.message.startswith(f"table {PREFIX}signal has no primary key on (topic)")


async def test_tables_of_a_newer_library(path: Path) -> None:
    await look(path)
    with file(path) as connection:
        connection.execute(f"UPDATE {PREFIX}schema SET version = version + 1")  # noqa: S608

    (found,) = await bad(path, "schema")

    assert found.level == "warning"
    assert "upgrade litestar-queues-sql" in found.fix


async def test_somebody_who_reads_for_long(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "LONG_LOG", 2**20)
    async with SQLiteBackendConfig(path=path).open() as store:
        with file(path) as reader:
            reader.execute("BEGIN")
            reader.execute(f"SELECT * FROM {PREFIX}job").fetchall()  # noqa: S608
            await store.enqueue(make_jobs(20, payload=bytes(100_000)))

            (found,) = await bad(path, "readers")

        assert found.message.startswith("1 MiB of the log cannot be folded into the file")
        assert await bad(path, "readers") == []


async def test_a_file_that_is_damaged(path: Path) -> None:
    async with SQLiteBackendConfig(path=path).open() as store:
        await store.enqueue(make_jobs(500))
    with file(path) as connection:
        asked = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        ((page,),) = connection.execute(asked, (f"{PREFIX}job_ready",))
        ((size,),) = connection.execute("PRAGMA page_size")
    with path.open("r+b") as raw:
        raw.seek((page - 1) * size + 12)
        raw.write(b"\xff" * 64)

    (found,) = await bad(path, "integrity")

    assert found.level == "problem"
    assert "restore a copy" in found.fix


async def test_a_large_file_is_not_read_as_a_whole(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "LARGE", 0)

    found = (await look(path))[-1]

    assert found.about == "integrity"
    assert f"sqlite3 {path} 'PRAGMA quick_check' does it" in found.message
