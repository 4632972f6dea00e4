"""Leases: opened, renewed, closed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

from litestar_queues_core.errors import LeaseLost
from litestar_queues_core.ids import LeaseId
from litestar_queues_core.model import Status, WorkerInfo
from litestar_queues_core.settlements import Renewal
from litestar_queues_sql.claim import Holder
from litestar_queues_sql.jobs import (
    LIVE,
    Ending,
    Live,
    Waiting,
    finish,
    forget_requests,
    put_back,
)
from litestar_queues_sql.script import NOW, Script, Sql
from litestar_queues_sql.settle import requested_of

_OPEN = Sql("""
    INSERT INTO $lease (id, worker, host, pid, about, opened_ms, term_ms, expires_ms)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?) $skip
""")
_SHARED, _OWN = (
    Sql(
        """
        SELECT num, worker, term_ms, expires_ms, (SELECT max(seq) FROM $answer WHERE lease = num)
        FROM $lease WHERE id = ? AND dead = 0 $lock
        """,
        lock=lock,
    )
    for lock in ("$share", "$update")
)
_EXTEND = Sql("UPDATE $lease SET term_ms = ?, expires_ms = ? WHERE num = ? AND dead = 0")
_HELD = Sql("SELECT $live FROM $job WHERE lease = ? $lock", live=LIVE)
_FORGET_SIGNAL = Sql("DELETE FROM $signal WHERE topic = ?")
_FORGET = (
    Sql("DELETE FROM $answer WHERE lease = ?"),
    Sql("DELETE FROM $cancel_request WHERE lease = ?"),
    Sql("DELETE FROM $lease WHERE num = ?"),
)


class Standing(NamedTuple):
    """A lease that is alive.

    Attributes:
        number: By which rows refer to it.
        worker: Name of its worker.
        term_ms: How long it lasts from each extension.
        expires_ms: When its time runs out.
        last_seq: Number of the last exchange that is remembered.
    """

    number: int
    worker: str
    term_ms: int
    expires_ms: int
    last_seq: int | None

    @property
    def holder(self) -> Holder:
        """Who claims and settles under it."""
        return Holder(self.number, self.worker)

    def extended_ms(self) -> int:
        """Return when it was last extended."""
        return self.expires_ms - self.term_ms


def standing(lease: LeaseId, *, shared: bool = False) -> Script[Standing | None]:
    """Return a lease, unless it is dead or unknown, and let nobody mark it dead meanwhile.

    Args:
        lease: The lease.
        shared: Whether others may look at it in this way at the same time.
    """
    rows: list[tuple[object, ...]] = yield (_SHARED if shared else _OWN)(lease)
    return Standing._make(rows[0]) if rows else None


def open_lease(lease: LeaseId, worker: WorkerInfo, seconds: float) -> Script[None]:
    """Begin a lease, or go on with it."""
    now_ms: int = yield NOW
    term_ms = int(seconds * 1000)
    about = json.dumps({"queues": list(worker.queues), "version": worker.version})
    times = (now_ms, term_ms, now_ms + term_ms)
    yield _OPEN(lease, worker.name, worker.host, worker.pid, about, *times)
    found = yield from standing(lease)
    if found is None:
        raise LeaseLost(lease)
    yield from extend(found, now_ms, term_ms)


def extend(lease: Standing, now_ms: int, term_ms: int) -> Script[None]:
    """Let the lease last *term_ms* from now."""
    if (lease.term_ms, lease.expires_ms) != (term_ms, now_ms + term_ms):
        yield _EXTEND(term_ms, now_ms + term_ms, lease.number)


def renew(lease: LeaseId, seconds: float) -> Script[Renewal]:
    """Let a lease last from now, if it stands."""
    now_ms: int = yield NOW
    found = yield from standing(lease)
    if found is None:
        return Renewal(alive=False)
    yield from extend(found, now_ms, int(seconds * 1000))
    return Renewal(alive=True, cancelled=(yield from requested_of(found.number)))


def close_lease(lease: LeaseId) -> Script[None]:
    """End a lease and give its jobs back, in their lanes and at their places."""
    now_ms: int = yield NOW
    found = yield from standing(lease)
    if found is None:
        return
    rows: list[tuple[object, ...]] = yield _HELD(found.number)
    held = [Live._make(row) for row in rows]
    yield from _give_back(held, found.worker, now_ms)
    yield from forget_lease(found.number, lease)


def forget_lease(number: int, lease: LeaseId) -> Script[None]:
    """Remove a lease that holds nothing, with all that belongs to it."""
    for statement in _FORGET:
        yield statement(number)
    yield _FORGET_SIGNAL(f"lease:{lease}")


def _give_back(held: Sequence[Live], worker: str, now_ms: int) -> Script[None]:
    endings = [
        Ending(row, Status.CANCELLED, row.errors, worker=worker) for row in held if row.cancelling
    ]
    waiting = [Waiting(row, row.lane, row.due_ms, row.errors) for row in held if not row.cancelling]
    yield from finish(endings, now_ms)
    yield from put_back(waiting, now_ms)
    yield from forget_requests(held)
