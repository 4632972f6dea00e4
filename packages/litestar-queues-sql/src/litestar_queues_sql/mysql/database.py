"""A database of MySQL or MariaDB as a database of scripts."""

from __future__ import annotations

from collections.abc import Callable, Collection

from litestar_queues_sql.database import PREFIX
from litestar_queues_sql.driver import Connections
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
)


class MySQLDatabase(ServerDatabase):
    """The tables of one store, reached through connections of an adapter.

    Args:
        connections: Where connections come from.
        told: Called with the topics of each transaction that has been committed.
        prefix: What the names of the tables begin with.
    """

    def __init__(
        self,
        connections: Connections,
        told: Callable[[Collection[str]], None],
        *,
        prefix: str = PREFIX,
    ) -> None:
        super().__init__(SYSTEM, connections, told, prefix=prefix)

    def begin(self, *, write: bool) -> str:
        """Return the statements that begin a transaction."""
        return WRITE if write else READ
