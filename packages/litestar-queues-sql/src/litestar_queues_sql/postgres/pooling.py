"""Whether a pooler stands before the server, and what it lets through."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import NamedTuple

from litestar_queues_core.findings import Finding
from litestar_queues_sql.driver import Connection
from litestar_queues_sql.held import opened
from litestar_queues_sql.postgres.errors import FORGETS, FORGOTTEN, state_of
from litestar_queues_sql.postgres.notifier import Notifier

ROUNDS = 4
"""A busy pooler may give the same connection twice by chance."""
_PROCESS = "SELECT pg_backend_pid()"
SIGN = 4711
_PREPARED = f"SELECT pg_backend_pid(), {SIGN}"
OFTEN = 6
"""Drivers prepare what they execute so often."""
PATIENCE = 1.0

_WAY_PAST = (
    "give a DSN that leads to the server itself: notify='postgresql://...' of the backend "
    "configuration, or driver_features={'direct_dsn': ...} of SQLSpec; or do without, notify=False"
)


class Way(NamedTuple):
    """What stands between the store and its server.

    Attributes:
        pooled: Whether connections of the server are handed out by transaction.
        keeps: Whether a statement that was prepared is there in the next transaction.
    """

    pooled: bool
    keeps: bool = True


async def check_way(
    one: Connection, open_: Callable[[], Awaitable[Connection]], notifier: Notifier
) -> list[Finding]:
    """Look what stands between the store and its server.

    Args:
        one: A connection such as the store has.
        open_: Opens another one.
        notifier: Of the store.
    """
    async with opened(open_) as other:
        way = await _look(one, other)
    async with opened(open_) as another:
        heard = notifier.tells and await notifier.hears(another)
    return [*_pooler(way), _notifications(used=notifier.tells, heard=heard)]


def _pooler(way: Way) -> Iterator[Finding]:
    if not way.keeps:
        about = "connections are pooled by transaction, and prepared statements get lost there"
        yield Finding("problem", "pooler", about, FORGETS)
    elif way.pooled:
        yield Finding("ok", "pooler", "connections are pooled by transaction")
    else:
        yield Finding("ok", "pooler", "there is none that pools transactions")


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


async def _look(one: Connection, other: Connection) -> Way:
    try:
        pooled = await _pools(one, other)
        return Way(pooled, await _keeps(one, other) if pooled else True)
    except Exception as error:
        if state_of(error) not in FORGOTTEN:
            raise
        return Way(pooled=True, keeps=False)


async def _pools(one: Connection, other: Connection) -> bool:
    """Return whether two connections share those of the server, transaction by transaction.

    While the other is in a transaction, it keeps what the first has had before, or the first gets
    something else: each process of the server belongs to both by turns.
    """
    for _ in range(ROUNDS):
        before = await _ask(one, _PROCESS)
        await other.run("BEGIN")
        try:
            if await _ask(other, _PROCESS) == before or await _ask(one, _PROCESS) != before:
                return True
        finally:
            await other.run("COMMIT")
    return False


async def _keeps(one: Connection, other: Connection) -> bool:
    """Return whether what is prepared in one process of the server is there in another."""
    await other.run("BEGIN")
    preparing = asyncio.create_task(_prepare(one))
    try:
        await asyncio.wait([preparing], timeout=PATIENCE)  # there may be no second process
    finally:
        await other.run("COMMIT")  # its process was used last, and so it comes next
    first = await preparing
    for _ in range(ROUNDS):
        ((process, *rest),) = await one.fetch(_PREPARED, ())
        if rest != [SIGN]:  # another statement has that name there
            return False
        if process != first:
            break
    return True


async def _prepare(connection: Connection) -> int:
    """Let the driver prepare a statement, and return in which process."""
    for _ in range(OFTEN - 1):
        await _ask(connection, _PREPARED)
    return await _ask(connection, _PREPARED)


async def _ask(connection: Connection, text: str) -> int:
    rows = await connection.fetch(text, ())
    return int(rows[0][0])
