"""Choosing the embedded store."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from litestar_queues_core.config import choice
from litestar_queues_core.errors import ConfigError
from litestar_queues_sql.database import PREFIX, Texts
from litestar_queues_sql.sqlite.dialect import SQLITE
from litestar_queues_sql.sqlite.store import SQLiteStore, open_sqlite

VARIABLE = "LITESTAR_QUEUES_SQLITE_PATH"
DEFAULT = ".litestar-queues/queue.db"


@dataclass(kw_only=True, slots=True)
class SQLiteBackendConfig:
    """Jobs in a SQLite file on a local disk, for one host.

    Attributes:
        path: The file.  By default what the environment variable ``LITESTAR_QUEUES_SQLITE_PATH``
            says, or ``.litestar-queues/queue.db`` under the working directory.
        durability: ``"normal"`` survives the death of processes, and may lose the last moments
            before a power failure; ``"full"`` waits for the disk at each commit and loses nothing.
        prefix: What the names of the tables begin with.
    """

    path: str | Path | None = None
    durability: Literal["normal", "full"] = "normal"
    prefix: str = PREFIX

    def __post_init__(self) -> None:
        choice(self.durability, "SQLiteBackendConfig.durability", ("normal", "full"))
        Texts(SQLITE, self.prefix)
        self.resolve()

    def resolve(self) -> Path:
        """Return the absolute path of the file, as things stand now.

        Raises:
            ConfigError: It is no path of a file.
        """
        path = cast(
            object, self.path if self.path is not None else os.environ.get(VARIABLE) or DEFAULT
        )
        if not isinstance(path, str | Path) or not str(path) or "\0" in str(path):
            raise ConfigError(f"SQLiteBackendConfig.path must be the path of a file, not {path!r}")
        if ":memory:" in str(path) or str(path).startswith("file:"):
            raise ConfigError(
                f"SQLiteBackendConfig.path must be a plain path, not {str(path)!r}; for jobs that "
                'need not outlive the process use queue_backend="memory" (MemoryBackendConfig)'
            )
        return Path(os.path.abspath(Path(path).expanduser()))

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[SQLiteStore]:
        """Open the store for as long as the context lasts."""
        path = self.resolve()
        async with open_sqlite(path, durability=self.durability, prefix=self.prefix) as store:
            yield store
