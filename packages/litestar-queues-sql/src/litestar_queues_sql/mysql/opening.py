"""Opening a store on MySQL or MariaDB, or saying what is wrong."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncGenerator, Collection
from contextlib import AsyncExitStack, asynccontextmanager

from litestar_queues_core.errors import ConfigError
from litestar_queues_sql.database import PREFIX
from litestar_queues_sql.driver import Connection, Connections
from litestar_queues_sql.held import HeldConnection
from litestar_queues_sql.mysql.commits import Commits
from litestar_queues_sql.mysql.database import MySQLDatabase
from litestar_queues_sql.mysql.store import MySQLStore
from litestar_queues_sql.mysql.transactions import MySQLTransactions
from litestar_queues_sql.mysql.waking import Waker
from litestar_queues_sql.schema import upgrade, verify
from litestar_queues_sql.sessions import Sessions
from litestar_queues_sql.signals import Signals

logger: logging.Logger = logging.getLogger("litestar_queues.mysql")

OLDEST_MYSQL, OLDEST_MARIADB = (8, 0), (10, 6)
LOCK_SECONDS = 9
_SERVER = "SELECT VERSION(), DATABASE()"


@asynccontextmanager
async def open_mysql(
    connections: Connections,
    *,
    prefix: str = PREFIX,
    create_schema: bool = True,
    sessions: Sessions | None = None,
) -> AsyncGenerator[MySQLStore]:
    """Open a store for as long as the context lasts.

    Args:
        connections: Where connections come from.
        prefix: What the names of the tables begin with.
        create_schema: Whether to create and upgrade the tables; if not, they must be there.
        sessions: How sessions of the application are written through, if they can be.
    """
    signals = Signals()

    def told(topics: Collection[str]) -> None:
        waker.raise_(topics)

    database = MySQLDatabase(connections, told, prefix=prefix)
    exchanging, enqueueing, waking = (HeldConnection(connections.open) for _ in range(3))
    waker = Waker(database, waking.lend, signals)
    async with AsyncExitStack() as stack:
        for held in (exchanging, enqueueing, waking):
            stack.push_async_callback(held.close)
        name = await database.attempt(waking.lend, _check_server)
        if create_schema:
            await _upgrade(database, waking)
        else:
            await database.read(verify)
        await waker.start()
        stack.push_async_callback(waker.stop)
        logger.info("jobs are kept in the tables %s* of database %s", prefix, name)
        commits = Commits(database, waking.lend, waker.raise_)
        stack.push_async_callback(commits.stop)
        transactions = MySQLTransactions(database, sessions, waker, commits)
        yield MySQLStore(
            database, signals, waker, exchanging, enqueueing, transactions=transactions
        )


async def _check_server(connection: Connection) -> str:
    ((version, name),) = await connection.fetch(_SERVER, ())
    check_version(version)
    if name is None:
        raise ConfigError("the configuration names no database: add it")
    return str(name)


def check_version(version: str) -> None:
    """Check that a server can be used, by what it says of itself.

    Raises:
        ConfigError: It cannot.
    """
    maria = "MariaDB" in version
    oldest = OLDEST_MARIADB if maria else OLDEST_MYSQL
    number = re.match(r"(?:5\.5\.5-)?(\d+)\.(\d+)", version)
    if number is None or "TiDB" in version:
        raise ConfigError(f"the server {version!r} is not supported yet; MySQL and MariaDB are")
    if tuple(map(int, number.groups())) < oldest:
        kind = "MariaDB" if maria else "MySQL"
        raise ConfigError(
            f"the server is {kind} {version}; the queue needs {'.'.join(map(str, oldest))} or later"
        )


async def _upgrade(database: MySQLDatabase, held: HeldConnection) -> None:
    """Make the tables, one process at a time: there are no transactions around that here."""

    async def locked(connection: Connection) -> None:
        name = f"{database.texts.prefix}schema"
        await connection.fetch("SELECT GET_LOCK(?, ?)", (name, LOCK_SECONDS))
        try:
            await database.transact(connection, upgrade)
        except BaseException:
            connection.discard()  # the lock goes with it, whether the server answers or not
            raise
        await connection.fetch("SELECT RELEASE_LOCK(?)", (name,))

    await database.attempt(held.lend, locked)
