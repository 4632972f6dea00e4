"""Jobs in an SQLite file, the default; nothing to install."""

from __future__ import annotations

from litestar_queues_sql.sqlite import SQLiteBackendConfig

__all__ = ["SQLiteBackendConfig"]
