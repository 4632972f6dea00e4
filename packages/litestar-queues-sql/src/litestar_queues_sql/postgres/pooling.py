"""Whether a pooler stands before the server, and what it lets through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from litestar_queues_core.findings import Finding
from litestar_queues_sql.driver import Connection
from litestar_queues_sql.held import farewell
from litestar_queues_sql.postgres.notifier import Notifier

ROUNDS = 4
"""A busy pooler may give the same connection twice by chance."""
_PROCESS = "SELECT pg_backend_pid()"

_WAY_PAST = (
    "give a DSN that leads to the server itself: notify='postgresql://...' of the backend "
    "configuration, or driver_features={'direct_dsn': ...} of SQLSpec; or do without, notify=False"
)


async def check_way(
    connection: Connection, open_: Callable[[], Awaitable[Connection]], notifier: Notifier
) -> list[Finding]:
    """Look what stands between the store and its server.

    Args:
        connection: A connection as the store has them.
        open_: Opens another one.
        notifier: Of the store.
    """
    other = await open_()
    try:
        pooled = await pools_transactions(connection, other)
        heard = notifier.tells and await notifier.hears(other)
    finally:
        await farewell(other)
    how = "by transaction" if pooled else "by nobody, or by session"
    return [
        Finding("ok", "pooler", f"connections are pooled {how}"),
        _notifications(used=notifier.tells, heard=heard),
    ]


def _notifications(*, used: bool, heard: bool) -> Finding:
    if not used:
        return Finding("ok", "notifications", "are not used: idle workers look once a second")
    if heard:
        return Finding("ok", "notifications", "are heard")
    return Finding(
        "warning",
        "notifications",
        "are not heard, as behind a pooler of transactions: idle workers notice new jobs only when "
        "they look, once a second",
        _WAY_PAST,
    )


async def pools_transactions(one: Connection, other: Connection) -> bool:
    """Return whether two connections share those of the server, transaction by transaction.

    While the other is in a transaction, it keeps what the first has had before, or the first gets
    something else: each process of the server belongs to both by turns.
    """
    for _ in range(ROUNDS):
        before = await _process(one)
        await other.run("BEGIN")
        try:
            if await _process(other) == before or await _process(one) != before:
                return True
        finally:
            await other.run("COMMIT")
    return False


async def _process(connection: Connection) -> int:
    ((process,),) = await connection.fetch(_PROCESS, ())
    return int(process)
