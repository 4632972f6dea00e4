"""Ending database sessions by their own word, so that a failing commit is an error."""

from __future__ import annotations

import logging
import sys
from typing import Any

from litestar.concurrency import sync_to_thread

logger: logging.Logger = logging.getLogger("litestar_queues.dependencies")


def is_session(value: object) -> bool:
    """Return whether *value* is a SQLAlchemy session; without importing SQLAlchemy."""
    return _is_async(value) or isinstance(value, _kind("sqlalchemy.orm", "Session"))


async def end_session(
    session: Any, kind: type[BaseException] | None, error: BaseException | None, _: object
) -> None:
    """Commit *session*, or roll it back if there was an error; then close it.

    Raises:
        Exception: Whatever the commit raised.
    """
    try:
        if kind is None:
            await _commit(session)
        else:
            await _try(session, "rollback")
    finally:
        await _try(session, "close")


async def _commit(session: Any) -> None:
    try:
        await _call(session, "commit")
    except BaseException:
        # Without this, SQLite keeps the transaction, and the pool keeps the connection with it.
        await _try(session, "rollback")
        raise


async def _try(session: Any, method: str) -> None:
    """Do what no outcome depends on: the work is committed by now, or has failed already."""
    try:
        await _call(session, method)
    except Exception:
        logger.exception("%s() of a database session failed", method)


async def _call(session: Any, method: str) -> None:
    if _is_async(session):
        await getattr(session, method)()
    else:
        await sync_to_thread(getattr(session, method))


def _is_async(value: object) -> bool:
    return isinstance(value, _kind("sqlalchemy.ext.asyncio", "AsyncSession"))


def _kind(module: str, name: str) -> type[Any] | tuple[()]:
    """Return a class of a module that is imported already; else nothing is an instance of it."""
    found = sys.modules.get(module)
    return getattr(found, name) if found else ()
