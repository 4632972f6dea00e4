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
)
from tests.databases.reaching import backend, proxy, reached, way

__all__ = [
    "backend",
    "bouncer",
    "database",
    "database_of",
    "maria_database",
    "mariadb",
    "own_mariadb",
    "own_postgres",
    "postgres_of",
    "proxy",
    "reached",
    "way",
]
