"""The embedded store as a target of chaos, for tests."""

from __future__ import annotations

from pathlib import Path

from litestar_queues_core.testing.chaos import SmallDisk
from litestar_queues_sql.sqlite.config import SQLiteBackendConfig

MEBIBYTES = 64


class SQLiteTarget:
    """SQLite files in a directory, which may be a small disk of its own.

    Args:
        workspace: Where the directory is made.
    """

    def __init__(self, workspace: Path) -> None:
        self._disk = SmallDisk(workspace / "data")

    def config(self, data: str) -> SQLiteBackendConfig:
        """Return the configuration of one file."""
        return SQLiteBackendConfig(path=self._disk.directory / f"{data}.db")

    def make_disk(self) -> None:
        """Mount the disk."""
        self._disk.mount(mebibytes=MEBIBYTES)

    def fill_disk(self) -> None:
        """Leave no room on it."""
        self._disk.fill()

    def free_disk(self) -> None:
        """Let there be room again."""
        self._disk.free()
