"""Enqueueing inside a transaction that the caller has opened: which session, and the deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any, TypeVar

from litestar_queues_core.abilities import require
from litestar_queues_core.asking import CALL_DEADLINE
from litestar_queues_core.errors import SessionError, StoreUnavailable
from litestar_queues_core.protocols import Store, SupportsTransactions
from litestar_queues_core.task import Task, TaskCall

T = TypeVar("T")


def session_of(task: Task[..., Any], kwargs: dict[str, Any], session: Any) -> Any:
    """Return the session of a call: the keyword, unless it is the task's own, or ``using()``'s."""
    if session is not None and task.has_parameter("session"):
        kwargs["session"], session = session, None
    return task.options.get("session") if session is None else session


def session_of_all(calls: Iterable[TaskCall[Any]], session: Any) -> tuple[list[TaskCall[Any]], Any]:
    """Return the calls of a batch, and their one session.

    Raises:
        TypeError: One is no call.
        SessionError: The calls name several, or only some of them name one.
    """
    calls = list(calls)
    for call in calls:
        if not isinstance(call, TaskCall):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"enqueue_many() takes calls, task.call(...), not {call!r}")
    if session is not None or not calls:
        return calls, session
    sessions = [call.task.options.get("session") for call in calls]
    if any(one is not sessions[0] for one in sessions):
        raise SessionError(
            "a batch is written through one session: give it once, enqueue_many(calls, "
            "session=...), and call enqueue_many() for each session"
        )
    return calls, sessions[0]


def joined(store: Store, session: object) -> SupportsTransactions:
    """Return *store* as one that can write through *session*.

    Raises:
        MissingAbilityError: It cannot write through any.
        SessionError: It cannot write through one of that kind.
    """
    joining = require(store, SupportsTransactions, "session=")
    if not joining.accepts(session):
        kind = type(session)
        raise SessionError(
            f"session={kind.__module__}.{kind.__qualname__}: {type(store).__name__} cannot write "
            f"through that; it takes {joining.sessions}"
        )
    return joining


async def in_time(call: Awaitable[T]) -> T:
    """Await what is done on the caller's session; its errors are the caller's.

    Raises:
        StoreUnavailable: It took too long.
    """
    try:
        async with asyncio.timeout(CALL_DEADLINE):
            return await call
    except TimeoutError as error:
        raise StoreUnavailable(
            f"the store did not answer within {CALL_DEADLINE:g} s; roll the transaction back"
        ) from error
