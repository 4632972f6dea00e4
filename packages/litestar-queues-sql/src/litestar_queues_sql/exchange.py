"""The exchange: settle, then claim, in one transaction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypeAlias

from litestar_queues_core.errors import LeaseLost, QueueError, StaleExchange
from litestar_queues_core.ids import JobId, LeaseId
from litestar_queues_core.settlements import Exchange, Settlement, Wants
from litestar_queues_sql.claim import Claim, Rotation, held_jobs
from litestar_queues_sql.leases import Standing, extend, standing
from litestar_queues_sql.script import NOW, Script, Sql
from litestar_queues_sql.settle import Settling, requested_of

EXTEND_MS = 1000
"""A busy lease is extended no more often; an idle one once a third of its term is over."""

Fences: TypeAlias = list[tuple[JobId, int]]

_NEXT_DUE = Sql("SELECT min(due_ms) FROM $job WHERE status = 1")
_REMEMBER = Sql("INSERT INTO $answer (lease, seq, lists) VALUES (?, ?, ?)")
_FORGET = Sql("DELETE FROM $answer WHERE lease = ? AND seq = ?")
_RECALL = Sql("SELECT lists FROM $answer WHERE lease = ? AND seq = ?")


def exchange(
    lease_id: LeaseId, seq: int, settlements: Sequence[Settlement], wants: Wants, rotation: Rotation
) -> Script[Exchange]:
    """Apply *settlements*, claim what *wants* asks for; or replay."""
    now_ms: int = yield NOW
    lease = yield from standing(lease_id, shared=True)
    if lease is None:
        raise LeaseLost(lease_id)
    if lease.last_seq is not None and seq <= lease.last_seq:
        if seq < lease.last_seq:
            raise StaleExchange(lease_id, seq, lease.last_seq)
        return (yield from _replay(lease, now_ms))
    settling = Settling(lease.holder, now_ms)
    if settlements:
        yield from settling.run(settlements)
    claim = Claim(lease.holder, wants, rotation, now_ms)
    if wants.limit > 0:
        yield from claim.run(seq)
    if settlements or claim.jobs:
        lists = [settling.rejected, settling.ended, settling.busy]
        yield _REMEMBER(lease.number, seq, json.dumps(lists))
        if lease.last_seq is not None:
            yield _FORGET(lease.number, lease.last_seq)
    yield from _extend(lease, now_ms, busy=bool(settlements or claim.jobs))
    return Exchange(
        claimed=claim.jobs,
        rejected=settling.rejected,
        busy=settling.busy,
        ended=settling.ended,
        cancelled=(yield from requested_of(lease.number)),
        next_due_ms=(yield from next_due()),
        now_ms=now_ms,
    )


def replay(lease_id: LeaseId) -> Script[Exchange]:
    """Return what the last exchange of a lease has said, and all jobs that the lease holds.

    Waits for an exchange of that lease that is on its way.
    """
    now_ms: int = yield NOW
    lease = yield from standing(lease_id)
    if lease is None:
        raise LeaseLost(lease_id)
    return (yield from _replay(lease, now_ms))


def _replay(lease: Standing, now_ms: int) -> Script[Exchange]:
    lists: list[tuple[str]] = yield _RECALL(lease.number, lease.last_seq)
    rejected, ended, busy = read_lists(lists[0][0])
    yield from _extend(lease, now_ms, busy=False)
    return Exchange(
        claimed=(yield from held_jobs(lease.holder)),
        rejected=rejected,
        busy=busy,
        ended=ended,
        cancelled=(yield from requested_of(lease.number)),
        next_due_ms=(yield from next_due()),
        now_ms=now_ms,
    )


def read_lists(text: str) -> tuple[Fences, Fences, Fences]:
    """Return what was rejected, ended and busy, as an exchange has remembered it."""
    rejected, ended, busy = ([(one[0], one[1]) for one in fences] for fences in json.loads(text))
    return rejected, ended, busy


def _extend(lease: Standing, now_ms: int, *, busy: bool) -> Script[None]:
    if now_ms - lease.extended_ms() >= (EXTEND_MS if busy else lease.term_ms / 3):
        yield from extend(lease, now_ms, lease.term_ms)


def next_due() -> Script[int | None]:
    """Return when the earliest scheduled job falls due."""
    rows: list[tuple[int | None]] = yield _NEXT_DUE()
    return rows[0][0]


class Rehearsed(QueueError):
    """A settlement could have been written."""


def rehearse(lease_id: LeaseId, settlement: Settlement) -> Script[None]:
    """Try whether the database can hold a settlement's data.

    Raises:
        Rehearsed: It can; the transaction must be undone.
    """
    now_ms: int = yield NOW
    lease = yield from standing(lease_id, shared=True)
    if lease is not None:
        yield from Settling(lease.holder, now_ms).run([settlement])
    raise Rehearsed
