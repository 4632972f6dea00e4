"""The store on PostgreSQL, for adapters to open on their connections."""

from __future__ import annotations

from litestar_queues_sql.postgres.opening import open_postgres
from litestar_queues_sql.postgres.store import PostgresStore

__all__ = ["PostgresStore", "open_postgres"]
