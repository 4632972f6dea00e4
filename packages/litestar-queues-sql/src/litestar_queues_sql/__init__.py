"""Jobs in SQL databases."""

from __future__ import annotations

from litestar_queues_sql.database import Database, DataRefused, Dialect
from litestar_queues_sql.sqlite import SQLiteBackendConfig, SQLiteStore
from litestar_queues_sql.store import SqlStore

__all__ = [
    "DataRefused",
    "Database",
    "Dialect",
    "SQLiteBackendConfig",
    "SQLiteStore",
    "SqlStore",
]
