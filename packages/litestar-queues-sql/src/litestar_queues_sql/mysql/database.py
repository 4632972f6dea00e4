"""A database of MySQL or MariaDB as a database of scripts."""

from __future__ import annotations

from litestar_queues_sql.mysql.dialect import CLOCK, MYSQL
from litestar_queues_sql.mysql.errors import CONFLICTS, code_of, translated
from litestar_queues_sql.server import ServerDatabase, System

WRITE = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; START TRANSACTION READ WRITE"
READ = """
    SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
    START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY
"""

SYSTEM = System(
    name="MySQL",
    dialect=MYSQL,
    clock=CLOCK,
    conflicts=CONFLICTS,
    code_of=code_of,
    translated=translated,
    write=WRITE,
    read=READ,
)


class MySQLDatabase(ServerDatabase):
    """The tables of one store, reached through connections of an adapter."""

    system = SYSTEM
