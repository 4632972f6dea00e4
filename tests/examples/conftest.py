from __future__ import annotations

from tests.databases.fixtures import database, database_of, postgres_of

__all__ = ["database", "database_of", "postgres_of"]
