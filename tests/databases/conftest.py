from __future__ import annotations

from tests.databases.fixtures import database, database_of, own_postgres, postgres_of, short

__all__ = ["database", "database_of", "own_postgres", "postgres_of", "short"]
