from __future__ import annotations

from tests.databases.fixtures import (
    bouncer,
    database,
    database_of,
    maria_database,
    mariadb,
    own_mariadb,
    own_postgres,
    postgres_of,
    short,
)

__all__ = [
    "bouncer",
    "database",
    "database_of",
    "maria_database",
    "mariadb",
    "own_mariadb",
    "own_postgres",
    "postgres_of",
    "short",
]
