"""What is to happen once a session has committed."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import event
from sqlalchemy.orm import Session

_PLACE = "litestar_queues_wakes"


def wakes_of(session: Session) -> list[Callable[[], None]]:
    """Return what is called at the next commit of *session*; a rollback forgets it."""
    if _PLACE not in session.info:
        session.info[_PLACE] = []
        event.listen(session, "after_commit", _after_commit)
        event.listen(session, "after_rollback", _after_rollback)
    wakes: list[Callable[[], None]] = session.info[_PLACE]
    return wakes


def _after_commit(session: Session) -> None:
    for call in _taken(session):
        call()


def _after_rollback(session: Session) -> None:
    _taken(session)


def _taken(session: Session) -> list[Callable[[], None]]:
    """Take what waits for the end of the transaction; that of a savepoint is none."""
    if session.in_nested_transaction():
        return []
    wakes = wakes_of(session)
    found = wakes.copy()
    wakes.clear()
    return found
