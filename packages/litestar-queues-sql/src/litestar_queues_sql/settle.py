"""Applying settlements: compare fences, write what the transitions say."""

from __future__ import annotations

from collections.abc import Sequence

from litestar_queues_core.ids import JobId
from litestar_queues_core.lifecycle import TRANSITIONS, settled_lane, settled_status
from litestar_queues_core.model import Event, NewJob, Status
from litestar_queues_core.settlements import Kind, Settlement
from litestar_queues_core.wire import decode_spec
from litestar_queues_sql import events
from litestar_queues_sql.claim import Holder
from litestar_queues_sql.enqueue import enqueue
from litestar_queues_sql.jobs import (
    Ending,
    Live,
    Waiting,
    finish,
    forget_requests,
    free_jobs,
    put_back,
)
from litestar_queues_sql.rows import DISPATCHED, RUNNING
from litestar_queues_sql.script import Script, Sql

_REQUESTED = Sql("""
    SELECT job FROM $cancel_request AS request WHERE request.lease = ? AND EXISTS (
        SELECT 1 FROM $job AS one WHERE one.id = request.job AND one.lease = request.lease
            AND one.cancelling = 1
    )
""")
_PROGRESS = Sql("UPDATE $job SET progress = ? WHERE id = ?")
_REF = Sql("UPDATE $job SET ref = ? WHERE id = ?")
_DISPATCH = Sql("""
    UPDATE $job SET status = 3, token = ?, ref = NULL, due_ms = ?, lease = NULL WHERE id = ?
""")
_KEEP_REQUEST = Sql("UPDATE $cancel_request SET lease = 0 WHERE lease = ? AND job = ?")

_BY_TOKEN = frozenset({Kind.DISPATCH_REF, Kind.DISPATCH_FAILED, Kind.DISPATCH_CANCELLED})
_STEPS = frozenset({Kind.PROGRESS, Kind.DISPATCH, Kind.DISPATCH_REF})


def requested_of(lease: int) -> Script[list[JobId]]:
    """Return the jobs held by a lease whose cancel was requested."""
    rows: list[tuple[JobId]] = yield _REQUESTED(lease)
    return [job_id for (job_id,) in rows]


class Settling:
    """The settlements of one exchange.

    Args:
        holder: Whose exchange it is.
        now_ms: The clock.

    Attributes:
        rejected: (id, delivery) of those whose fence no longer held.
        busy: (id, delivery) of those whose row somebody else has locked.
        ended: (id, delivery) of those which the cancel rule ended.
    """

    def __init__(self, holder: Holder, now_ms: int) -> None:
        self._holder = holder
        self._now_ms = now_ms
        self._endings: list[Ending] = []
        self._waiting: list[Waiting] = []
        self._steps: dict[Kind, list[tuple[Live, Settlement]]] = {kind: [] for kind in _STEPS}
        self._events: list[Event] = []
        self._follow_ups: list[NewJob] = []
        self.rejected: list[tuple[JobId, int]] = []
        self.busy: list[tuple[JobId, int]] = []
        self.ended: list[tuple[JobId, int]] = []

    def run(self, settlements: Sequence[Settlement]) -> Script[None]:
        """Apply *settlements* in order."""
        live, locked = yield from free_jobs([one.id for one in settlements])
        for one in settlements:
            row = live.get(one.id)
            if row is None or not self._fence_holds(row, one):
                held = locked.get(one.id)
                busy = held is not None and self._fence_holds(held, one)
                (self.busy if busy else self.rejected).append((one.id, one.delivery))
                continue
            if one.kind in _STEPS:
                self._steps[one.kind].append((row, one))
                self._apply_rest(one)
            else:
                self._move(row, one)
            if one.kind is not Kind.PROGRESS:
                del live[one.id]
        yield from self._write()

    def _fence_holds(self, row: Live, one: Settlement) -> bool:
        if one.kind not in _BY_TOKEN:
            return (
                row.status == RUNNING
                and row.lease == self._holder.lease
                and row.delivery == one.delivery
            )
        stands = row.status == DISPATCHED or (
            one.kind is Kind.DISPATCH_REF and row.status == RUNNING
        )
        return stands and row.token is not None and row.token == one.token

    def _move(self, row: Live, one: Settlement) -> None:
        status = settled_status(
            one.kind, delay_ms=one.delay_ms, cancel_requested=bool(row.cancelling)
        )
        errors = row.errors_with(one.failure, worker=self._holder.worker, now_ms=self._now_ms)
        if status.finished:
            self._end(row, one, status, errors)
        else:
            self._wait(row, one, errors)
        if status is Status.CANCELLED and TRANSITIONS[one.kind].waits:
            self.ended.append((one.id, one.delivery))
            self._tell(one, one.closing_if_cancelled)
        else:
            self._apply_rest(one)

    def _end(self, row: Live, one: Settlement, status: Status, errors: bytes | None) -> None:
        value = one.value if one.kind is Kind.COMPLETE else None
        if value is not None and not decode_spec(row.spec).keep_result:
            value = None
        attempts = TRANSITIONS[one.kind].attempts
        self._endings.append(Ending(row, status, errors, value, self._holder.worker, attempts))

    def _wait(self, row: Live, one: Settlement, errors: bytes | None) -> None:
        transition = TRANSITIONS[one.kind]
        keeps_its_place = one.kind is Kind.RELEASE and one.delay_ms == 0
        self._waiting.append(
            Waiting(
                row,
                settled_lane(one.kind, row.lane),
                row.due_ms if keeps_its_place else self._now_ms + one.delay_ms,
                errors,
                attempts=transition.attempts,
                snoozes=transition.snoozes,
                put_backs=transition.put_backs,
            )
        )

    def _apply_rest(self, one: Settlement) -> None:
        self._tell(one, one.closing)
        self._follow_ups += one.follow_ups

    def _tell(self, one: Settlement, closing: Event | None) -> None:
        self._events += one.events
        if closing is not None:
            self._events.append(closing)

    def _write(self) -> Script[None]:
        yield from self._write_steps()
        yield from finish(self._endings, self._now_ms)
        yield from put_back(self._waiting, self._now_ms)
        yield from forget_requests(self._moved())
        if self._follow_ups:
            yield from enqueue(self._follow_ups)
        if self._events:
            yield from events.append(self._events)

    def _moved(self) -> list[Live]:
        return [one.row for one in self._endings] + [one.row for one in self._waiting]

    def _write_steps(self) -> Script[None]:
        if reports := self._steps[Kind.PROGRESS]:
            yield _PROGRESS.many([(one.value, row.id) for row, one in reports])
        if refs := self._steps[Kind.DISPATCH_REF]:
            yield _REF.many([((one.value or b"").decode(), row.id) for row, one in refs])
        if dispatched := self._steps[Kind.DISPATCH]:
            yield _DISPATCH.many(
                [(one.token, self._now_ms + one.delay_ms, row.id) for row, one in dispatched]
            )
            met = [row.id for row, _ in dispatched if row.cancelling]
            yield _KEEP_REQUEST.many([(self._holder.lease, job_id) for job_id in met])
