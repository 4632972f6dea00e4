"""The embedded SQLite store on the standard library."""

from __future__ import annotations

from litestar_queues_sql.sqlite.config import SQLiteBackendConfig
from litestar_queues_sql.sqlite.store import SQLiteStore, open_sqlite

__all__ = ["SQLiteBackendConfig", "SQLiteStore", "open_sqlite"]
