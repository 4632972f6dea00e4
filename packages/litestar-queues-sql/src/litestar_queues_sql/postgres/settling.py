"""Settlements as the columns of one statement."""

from __future__ import annotations

from collections.abc import Sequence

from litestar_queues_core.lifecycle import TRANSITIONS, attempt_record
from litestar_queues_core.model import Failure
from litestar_queues_core.settlements import Kind, Settlement
from litestar_queues_core.wire import encode_errors
from litestar_queues_sql.rows import CODES

COMPLETE = Kind.COMPLETE
_STEPS = frozenset({Kind.PROGRESS, Kind.DISPATCH, Kind.DISPATCH_REF})
_BY_TOKEN = frozenset({Kind.DISPATCH_REF, Kind.DISPATCH_FAILED, Kind.DISPATCH_CANCELLED})
RIDING = frozenset(Kind) - _STEPS - _BY_TOKEN
"""Kinds that one statement can apply."""

_UNKNOWN = b'"worker":"","started_ms":-1,"finished_ms":-2'


def form_of(settlements: Sequence[Settlement]) -> str | None:
    """Return which form of the statement applies *settlements*; ``None`` if none does."""
    completed = True
    ids: set[str] = set()
    for one in settlements:
        if one.follow_ups or one.events or one.closing is not None or one.id in ids:
            return None
        ids.add(one.id)
        if one.kind is not COMPLETE or one.failure is not None:
            if one.kind not in RIDING or one.closing_if_cancelled is not None:
                return None
            completed = False
    if not settlements:
        return ""
    return "completed" if completed else "settled"


def frees_work(settlements: Sequence[Settlement]) -> bool:
    """Return whether a job may be waiting, and due, once *settlements* are applied."""
    return any(one.delay_ms <= 0 and TRANSITIONS[one.kind].waits for one in settlements)


def columns(form: str, settlements: Sequence[Settlement]) -> dict[str, object]:
    """Return the parameters of the statement that apply *settlements*."""
    found: dict[str, object] = {
        "ids": [one.id for one in settlements],
        "deliveries": [one.delivery for one in settlements],
        "values": [one.value if one.kind is COMPLETE else None for one in settlements],
    }
    if form == "completed":
        return found
    changes = [TRANSITIONS[one.kind] for one in settlements]
    records = [_record(one.failure, one.delivery) for one in settlements]
    return found | {
        "codes": [CODES[one.to] for one in changes],
        "delays": [None if _keeps_its_place(one) else one.delay_ms for one in settlements],
        "attempts": [one.attempts for one in changes],
        "snoozes": [one.snoozes for one in changes],
        "put_backs": [one.put_backs for one in changes],
        "clears": [one.clears_suspicion for one in changes],
        "heads": [head for head, _ in records],
        "tails": [tail for _, tail in records],
    }


def _keeps_its_place(one: Settlement) -> bool:
    return one.kind is Kind.RELEASE and one.delay_ms == 0


def _record(failure: Failure | None, delivery: int) -> tuple[bytes | None, bytes | None]:
    """Return an attempt record in two pieces; between them belongs what the database knows."""
    if failure is None:
        return None, None
    record = attempt_record(failure, delivery=delivery, worker="", started_ms=-1, finished_ms=-2)
    head, _, tail = (encode_errors([record]) or b"")[1:-1].partition(_UNKNOWN)
    return head, tail
