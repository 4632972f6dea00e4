"""Where the file is, and what is said if it cannot be used."""

from __future__ import annotations

import logging
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from litestar_queues_core.errors import ConfigError, StoreError
from litestar_queues_core.testing import Claimer, make_job
from litestar_queues_sql import SQLiteBackendConfig, SQLiteStore
from litestar_queues_sql.script import Script, Sql
from litestar_queues_sql.sqlite.errors import translated
from litestar_queues_sql.sqlite.opening import connect

NOBODY = 65534


@pytest.fixture
def guarded() -> Iterator[Path]:
    """A directory of root's, while the test runs as somebody else; or of ours, write-protected."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        is_root = os.geteuid() == 0
        if is_root:
            os.seteuid(NOBODY)
        else:
            place.chmod(0o555)
        try:
            yield place
        finally:
            if is_root:
                os.seteuid(0)
            place.chmod(0o755)


async def refusal(config: SQLiteBackendConfig, kind: type[Exception] = ConfigError) -> str:
    """Return what is said when the store is opened."""
    with pytest.raises(kind) as error:
        async with config.open():
            pass
    return str(error.value)


async def pragma(store: SQLiteStore, name: str) -> Any:
    """Return a setting of the connection that writes."""

    def script() -> Script[Any]:
        rows = yield Sql(f"PRAGMA {name}")()
        return rows[0][0]

    return await store._database.write(script)


async def test_the_file_is_named_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "deep" / "down" / "jobs.db"
    monkeypatch.setenv("LITESTAR_QUEUES_SQLITE_PATH", str(file))

    async with SQLiteBackendConfig().open() as store:
        assert store.path == file

    assert file.is_file()


async def test_by_default_the_file_is_under_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("LITESTAR_QUEUES_SQLITE_PATH", raising=False)
    monkeypatch.chdir(tmp_path)
    caplog.set_level(logging.INFO, "litestar_queues.sqlite")

    async with SQLiteBackendConfig().open() as store:
        assert store.path == tmp_path / ".litestar-queues" / "queue.db"

    assert str(tmp_path / ".litestar-queues" / "queue.db") in caplog.text


async def test_a_relative_path_stays_where_it_was_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    async with SQLiteBackendConfig(path="queue.db").open() as store:
        monkeypatch.chdir("/")
        with store.keeper():
            await store.enqueue([make_job()])

    assert (tmp_path / "queue.db").is_file()


async def test_closing_leaves_one_file(store: SQLiteStore, path: Path) -> None:
    async with SQLiteBackendConfig(path=path.with_name("other.db")).open() as other:
        await other.enqueue([make_job()])

    assert [one.name for one in path.parent.glob("other.db*")] == ["other.db"]


@pytest.mark.parametrize(
    ("durability", "synchronous"), [("normal", 1), ("full", 2)], ids=["normal", "full"]
)
async def test_durability_decides_whether_commits_wait_for_the_disk(
    path: Path, durability: Any, synchronous: int
) -> None:
    async with SQLiteBackendConfig(path=path, durability=durability).open() as store:
        assert await pragma(store, "synchronous") == synchronous
        assert await pragma(store, "journal_mode") == "wal"


async def test_two_prefixes_are_two_queues_in_one_file(path: Path) -> None:
    async with (
        SQLiteBackendConfig(path=path, prefix="a_").open() as first,
        SQLiteBackendConfig(path=path, prefix="b_").open() as second,
    ):
        await first.enqueue([make_job()])

        assert not await (await Claimer(second).open()).claim()


async def test_a_parent_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    message = await refusal(SQLiteBackendConfig(path=tmp_path / "file" / "queue.db"))

    assert f"cannot make the directory {tmp_path / 'file'}" in message
    assert "LITESTAR_QUEUES_SQLITE_PATH" in message


async def test_a_directory_where_nothing_can_be_made() -> None:
    message = await refusal(SQLiteBackendConfig(path="/proc/queues/queue.db"))

    assert "cannot make the directory /proc/queues" in message


async def test_a_path_that_is_a_directory(tmp_path: Path) -> None:
    message = await refusal(SQLiteBackendConfig(path=tmp_path))

    assert f"{tmp_path} is a directory" in message


async def test_a_read_only_directory(guarded: Path) -> None:
    message = await refusal(SQLiteBackendConfig(path=guarded / "queue.db"))

    assert f"{guarded} cannot be written by this process" in message
    assert "SQLiteBackendConfig(path=...)" in message


async def test_a_read_only_file(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "queue.db"
        async with SQLiteBackendConfig(path=file).open():
            pass
        Path(name).chmod(0o777)
        file.chmod(0o444)
        is_root = os.geteuid() == 0
        if is_root:
            os.seteuid(NOBODY)
        try:
            message = await refusal(SQLiteBackendConfig(path=file))
        finally:
            if is_root:
                os.seteuid(0)

    assert f"{file} cannot be written by this process" in message


def test_a_file_system_that_is_read_only(path: Path) -> None:
    connect(path).close()
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        with pytest.raises(sqlite3.OperationalError) as error:
            connection.execute("CREATE TABLE t (a)")

        message = str(translated(error.value, path))

    assert str(path) in message
    assert "cannot be written" in message
    assert "SQLiteBackendConfig(path=...)" in message


async def test_a_file_that_is_no_database(path: Path) -> None:
    path.write_text("Dear diary, " * 1000)

    message = await refusal(SQLiteBackendConfig(path=path), StoreError)

    assert f"{path} is not a SQLite database" in message
    assert "move it away" in message
    assert path.read_text().startswith("Dear diary")


async def test_a_file_that_is_damaged(path: Path) -> None:
    async with SQLiteBackendConfig(path=path).open() as store:
        await store.enqueue([make_job() for _ in range(100)])
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)

    message = await refusal(SQLiteBackendConfig(path=path), StoreError)

    assert f"{path} is damaged" in message
    assert "restore a copy" in message


def test_a_file_system_without_shared_memory(path: Path) -> None:
    with pytest.raises(StoreError, match="put the file on a local disk"):
        connect(path, vfs="unix-dotfile")


@pytest.mark.parametrize("name", [":memory:", "file:queue?mode=memory", "file::memory:"])
def test_memory_is_another_backend(name: str) -> None:
    with pytest.raises(ConfigError, match='queue_backend="memory"'):
        SQLiteBackendConfig(path=name)


@pytest.mark.parametrize("path", ["", 7, b"queue.db", "a\0b"])
def test_a_path_that_is_none(path: Any) -> None:
    with pytest.raises(ConfigError, match=r"SQLiteBackendConfig\.path must be the path of a file"):
        SQLiteBackendConfig(path=path)


def test_a_durability_that_does_not_exist() -> None:
    with pytest.raises(ConfigError, match=r"durability must be one of 'normal', 'full'"):
        SQLiteBackendConfig(durability="eventual")  # type: ignore[arg-type]


@pytest.mark.parametrize("prefix", ["", "1st", "a b", "jobs; DROP TABLE x", "a" * 41, "ä"])
def test_a_prefix_that_is_no_identifier(prefix: str) -> None:
    with pytest.raises(ConfigError, match="prefix of the queue's tables"):
        SQLiteBackendConfig(prefix=prefix)
