"""Opening a store on PostgreSQL, or saying what is wrong."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from litestar_queues_core.errors import ConfigError, QueueError
from litestar_queues_sql.database import PREFIX
from litestar_queues_sql.driver import Connection, Connections
from litestar_queues_sql.held import HeldConnection
from litestar_queues_sql.postgres.database import PostgresDatabase
from litestar_queues_sql.postgres.dialect import GUARD, POSTGRES
from litestar_queues_sql.postgres.enqueue import Enqueues
from litestar_queues_sql.postgres.errors import state_of
from litestar_queues_sql.postgres.exchange import Exchanges
from litestar_queues_sql.postgres.lanes import Lanes
from litestar_queues_sql.postgres.notifier import Notifier
from litestar_queues_sql.postgres.store import PostgresStore
from litestar_queues_sql.postgres.transactions import PostgresTransactions
from litestar_queues_sql.schema import MIGRATIONS, upgrade, verify
from litestar_queues_sql.sessions import Sessions
from litestar_queues_sql.signals import Signals

logger: logging.Logger = logging.getLogger("litestar_queues.postgres")

OLDEST = 14
MADE_BY_OTHERS = frozenset({"23505", "42P07", "42710"})
"""What the server answers to one of two who make the same table at the same time."""
TRIES = 5
_SERVER = "SELECT current_setting('server_version_num')::int, version(), current_database()"


@asynccontextmanager
async def open_postgres(
    connections: Connections,
    *,
    prefix: str = PREFIX,
    create_schema: bool = True,
    relaxed_commit: bool = False,
    notify: bool = True,
    sessions: Sessions | None = None,
) -> AsyncGenerator[PostgresStore]:
    """Open a store for as long as the context lasts.

    Args:
        connections: Where connections come from.
        prefix: What the names of the tables begin with.
        create_schema: Whether to create and upgrade the tables; if not, they must be there.
        relaxed_commit: Whether claims and settlements may be lost when the server crashes.
        notify: Whether to listen and to notify; without it waits end by themselves.
        sessions: How sessions of the application are written through, if they can be.
    """
    signals = Signals()
    lanes = Lanes()
    notifier = Notifier(connections, f"{prefix}wake", signals, lanes.heard)

    def told(topics: Collection[str]) -> None:
        lanes.came_back(topics)
        notifier.raise_(topics)

    database = PostgresDatabase(connections, told, prefix=prefix)
    name = await database.attempt(connections.lend, _check_server)
    if create_schema:
        await _upgrade(database)
    else:
        await database.read(verify)
    async with AsyncExitStack() as stack:
        if notify:
            async with database.bounded():
                await notifier.start()
            stack.push_async_callback(notifier.stop)
        logger.info("jobs are kept in the tables %s* of database %s", prefix, name)
        exchanging, enqueueing = HeldConnection(connections.open), HeldConnection(connections.open)
        stack.push_async_callback(exchanging.close)
        stack.push_async_callback(enqueueing.close)
        yield PostgresStore(
            database,
            signals,
            notifier,
            Exchanges(database, exchanging.lend, lanes, notifier.raise_, relaxed=relaxed_commit),
            Enqueues(database, enqueueing.lend, notifier.raise_),
            transactions=PostgresTransactions(database, sessions, notifier),
        )


async def _check_server(connection: Connection) -> str:
    ((number, version, name),) = await connection.fetch(_SERVER, ())
    if not version.startswith(("PostgreSQL", "EnterpriseDB")):
        raise ConfigError(f"{version.split(',')[0]} is not supported yet; PostgreSQL is")
    if number < OLDEST * 10_000:
        raise ConfigError(
            f"the server is PostgreSQL {number // 10_000}; the queue needs {OLDEST} or later"
        )
    return str(name)


async def _upgrade(database: PostgresDatabase) -> None:
    script = partial(upgrade, MIGRATIONS, POSTGRES.additions, GUARD)
    for _ in range(TRIES):
        try:
            await database.write(script)
        except QueueError as error:
            if state_of(error.__cause__) not in MADE_BY_OTHERS:
                raise
        else:
            return
    await database.write(script)
