"""Jobs as bytes: what the scripts keep under each key, and what they look at.

All keys of a namespace begin with ``{prefix}:`` and so lie in one slot of a cluster.  Ids are kept
as their 16 bytes.

========== ====== ====================================================================
key        type   what
========== ====== ====================================================================
v          text   the version of this layout
j, f       hash   id -> request; id -> record, of those that have finished
r:<lane>   zset   pending ids in the order of their claims, those that were enqueued together in
                  one member; rn: how many (hash), l: the lanes that have some
s:<lane>   zset   scheduled ids by due instant; d: the lanes by their first
h:<lease>  hash   what a lease holds, claim by claim; m: about the lease; c: cancel requests
a, z       zset   leases alive and dead by the end of their time; zh: dead ones that hold jobs
p, x, g    hash   of jobs that have been through something: past, attempt records, progress
e          zset   waiting ids by the instant at which they expire
k, kt      hash   uniqueness key -> instant, holder, task; zset: keys by instant
o:<status> list   finished ids in batches, in the order of their ends; n: how many (hash)
ib, i      zset   all ids by the instant of their enqueue: in batches (ic: how many ids), and what is
                  left of its oldest ones; i:<status> those that failed, were cancelled, expired
ev, ei     stream the event log; zset: job, delivery, number and place of each event
w:<topic>  zset   a marker that was raised; t: inboxes of those who wait for ends; b: inboxes
========== ====== ====================================================================

A request (numbers are big-endian): version (1 byte), flags (1), priority + 32768 (2), enqueued (8),
due (8), expiry (8, if flagged), length of the payload (4), lane (1 + n), key (2 + n) and rule
(8, a double; both if flagged), group, headers and schedule (4 + n, if flagged), spec (2 + n),
payload.  A record: status (1), delivery (4), start (8, 0 if never), end (8), worker (1 + n), result
(4 + n; the length is one more, 0 for none).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from struct import Struct
from typing import Any, Literal, NamedTuple

from litestar_queues_core.ids import JobId
from litestar_queues_core.lanes import suspects_of
from litestar_queues_core.model import (
    AttemptRecord,
    Job,
    JobDetails,
    KeyRule,
    NewJob,
    Status,
    TaskSpec,
)
from litestar_queues_core.wire import (
    decode_errors,
    decode_meta,
    decode_spec,
    encode_meta,
    encode_spec,
)

VERSION = "1"
STATUSES: tuple[Status, ...] = (
    Status.PENDING,
    Status.SCHEDULED,
    Status.RUNNING,
    Status.DISPATCHED,
    Status.COMPLETED,
    Status.FAILED,
    Status.CANCELLED,
    Status.EXPIRED,
)
"""A status is kept as its place here."""
CODES = {status: code for code, status in enumerate(STATUSES)}
KEY, EXPIRES, META, DROPPED, NO_RESULT = 1, 2, 4, 8, 16
BIG = 32
"""In the flags of a job that is held: its payload is not kept once it has completed."""

STARTED, FINISHED, FOREVER = -1, -2, -3
Moment = Literal["started", "finished", "forever"]
_MOMENTS: dict[int, Moment] = {STARTED: "started", FINISHED: "finished", FOREVER: "forever"}
_RULES = {moment: code for code, moment in _MOMENTS.items()}

_HEAD = Struct(">BBHQQ")
_PLAIN_HEAD = Struct(">BBHQQI")
_RECORD = Struct(">BIQQB")
_U16, _U32, _U64, _DOUBLE = Struct(">H"), Struct(">I"), Struct(">Q"), Struct(">d")
_FENCE = Struct(">16si")
_PLACED = Struct(">16siH")


def split_ids(data: bytes) -> list[bytes]:
    """Return ids that come in one text."""
    return [data[at : at + 16] for at in range(0, len(data), 16)]


def raw_id(job_id: str) -> bytes:
    """Return the 16 bytes of an id.

    Raises:
        ValueError: It is no UUID.
    """
    raw = bytes.fromhex(job_id.replace("-", ""))
    if len(raw) != 16:
        raise ValueError(f"{job_id!r} is no UUID")
    return raw


def text_id(raw: bytes) -> JobId:
    """Return the usual text of an id."""
    digits = raw.hex()
    return JobId(
        f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}",
    )


def fence(job_id: str, delivery: int) -> bytes:
    """Return an id and a delivery in 20 bytes."""
    return _FENCE.pack(raw_id(job_id), delivery)


def read_fences(data: bytes) -> list[tuple[JobId, int]]:
    """Return what :func:`fence` made, one after another."""
    return [(text_id(raw), delivery) for raw, delivery in _FENCE.iter_unpack(data)]


def number(value: int) -> bytes:
    """Return 8 bytes."""
    return _U64.pack(value)


def rule_code(rule: KeyRule) -> int:
    """Return a key rule as it is kept: milliseconds, or one of the negative codes."""
    return rule.until if isinstance(rule.until, int) else _RULES[rule.until]


@lru_cache(maxsize=4096)
def _middle(encoded: bytes, lane: str) -> bytes:
    name = lane.encode()
    return bytes((len(name),)) + name + _U16.pack(len(encoded)) + encoded


def flags_of(new: NewJob) -> int:
    """Return what is special about a request."""
    flags = 0 if new.spec.keep_result else NO_RESULT
    if new.key is not None:
        flags |= KEY
    if new.expires_ms is not None or new.expires_in_ms is not None:
        flags |= EXPIRES
    if new.meta is not None:
        flags |= META
    return flags


def plain_tail(new: NewJob) -> bytes:
    """Return what follows the instants in a request without key and meta."""
    spec, payload = new.spec, new.payload
    middle = _middle(spec.encoded or encode_spec(spec), spec.lane)
    return _U32.pack(len(payload)) + middle + payload


def tail(new: NewJob) -> bytes:
    """Return what follows the instants in any request."""
    lane, spec = new.spec.lane.encode(), encode_spec(new.spec)
    parts = [_U32.pack(len(new.payload)), bytes((len(lane),)), lane]
    if new.key is not None:
        key = key_bytes(new.key.key)
        parts += [_U16.pack(len(key)), key, _DOUBLE.pack(rule_code(new.key))]
    if new.meta is not None:
        meta = encode_meta(new.meta) or b""
        parts += [_U32.pack(len(meta)), meta]
    parts += [_U16.pack(len(spec)), spec, new.payload]
    return b"".join(parts)


def key_bytes(key: str) -> bytes:
    """Return a uniqueness key as it is kept."""
    return key.encode("utf-8", "surrogatepass")


class Request(NamedTuple):
    """A request as it is kept: as a new job, with its lane and its instants."""

    new: NewJob
    lane: str
    enqueued_ms: int
    due_ms: int
    expires_ms: int | None


_plain: dict[bytes, tuple[TaskSpec, str]] = {}


def _plain_middle(middle: bytes) -> tuple[TaskSpec, str]:
    """Return the spec and the lane; the same objects for the same bytes."""
    end = 1 + middle[0]
    if len(_plain) >= 4096:
        _plain.clear()
    known = _plain[middle] = decode_spec(middle[end + 2 :]), middle[1:end].decode()
    return known


def read_request(raw: bytes, blob: bytes) -> Request:
    """Return the request that *blob* holds."""
    _, flags, _, enqueued_ms, due_ms, length = _PLAIN_HEAD.unpack_from(blob)
    if flags & (KEY | EXPIRES | META):
        return _read_special(raw, blob, flags)
    payload_at = len(blob) - length
    middle = blob[24:payload_at]
    spec, lane = _plain.get(middle) or _plain_middle(middle)
    new = NewJob(text_id(raw), spec, blob[payload_at:])
    return Request(new, lane, enqueued_ms, due_ms, None)


def _read_special(raw: bytes, blob: bytes, flags: int) -> Request:
    _, _, _, enqueued_ms, due_ms = _HEAD.unpack_from(blob)
    expires_ms, key, meta = None, None, None
    at = _HEAD.size
    if flags & EXPIRES:
        (expires_ms,) = _U64.unpack_from(blob, at)
        at += 8
    (length,) = _U32.unpack_from(blob, at)
    lane, at = blob[at + 5 : at + 5 + blob[at + 4]].decode(), at + 5 + blob[at + 4]
    if flags & KEY:
        end = at + 2 + _U16.unpack_from(blob, at)[0]
        rule = int(_DOUBLE.unpack_from(blob, end)[0])
        text = blob[at + 2 : end].decode("utf-8", "surrogatepass")
        key, at = KeyRule(key=text, until=_MOMENTS.get(rule, rule)), end + 8
    if flags & META:
        end = at + 4 + _U32.unpack_from(blob, at)[0]
        meta, at = decode_meta(blob[at + 4 : end]), end
    spec = decode_spec(blob[at + 2 : at + 2 + _U16.unpack_from(blob, at)[0]])
    new = NewJob(text_id(raw), spec, blob[len(blob) - length :], key=key, meta=meta)
    return Request(new, lane, enqueued_ms, due_ms, expires_ms)


class Past(NamedTuple):
    """What a job has been through."""

    delivery: int = 0
    attempt: int = 0
    rescues: int = 0
    snoozes: int = 0
    put_backs: int = 0
    suspect: int = 0
    due_ms: int = 0
    started_ms: int = 0


def read_past(data: bytes | None, due_ms: int) -> Past:
    """Return the past of a job that was due at *due_ms* at first."""
    return Past(due_ms=due_ms) if data is None else Past(*map(int, data.split()))


def read_errors(data: bytes | None) -> Sequence[AttemptRecord]:
    """Return attempt records, which are kept as lines of JSON."""
    return decode_errors(b"[" + data.replace(b"\n", b",") + b"]") if data else ()


def claimed_job(
    raw: bytes,
    blob: bytes,
    past: bytes | None,
    errors: bytes | None,
    held: tuple[int, int, str] | None,
    now_ms: int,
    worker: str,
) -> Job:
    """Return a job as it is handed to its worker.

    Args:
        raw: Its id.
        blob: Its request.
        past: Its past.
        errors: Its attempt records.
        held: Delivery, start and lane by which it has been held before; ``None`` if it has just
            been claimed.
        now_ms: When.
        worker: Name of the worker.
    """
    new, lane, enqueued_ms, due_ms, expires_ms = read_request(raw, blob)
    if past is None and held is None:
        details = JobDetails(enqueued_ms, now_ms, worker=worker)
        return Job(new, Status.RUNNING, lane, due_ms, 0, 1, 0, 0, 0, expires_ms, details)
    been = read_past(past, due_ms)
    delivery, started_ms, lane = held or (
        been.delivery + 1,
        now_ms,
        suspects_of(lane) if been.suspect else lane,
    )
    details = JobDetails(enqueued_ms, started_ms, worker=worker, errors=read_errors(errors))
    return Job(
        new,
        Status.RUNNING,
        lane,
        been.due_ms,
        been.attempt,
        delivery,
        been.rescues,
        been.snoozes,
        been.put_backs,
        expires_ms,
        details,
    )


def read_placed(data: bytes) -> list[tuple[bytes, int, int]]:
    """Return id, delivery and place of each job that a claim still holds."""
    return list(_PLACED.iter_unpack(data))


def places_text(places: Sequence[int]) -> bytes:
    """Return places in a claim as they are sent."""
    return struct.pack(f">{len(places)}H", *places)


def seen_job(raw: bytes, view: Sequence[Any]) -> Job:
    """Return the job that a script has looked at."""
    code, blob, record, past, errors, progress, held, worker, requested = view
    details = JobDetails(errors=read_errors(errors), progress=progress)
    delivery = _read_record(record, details) if record else None
    new, lane, details.enqueued_ms, due_ms, expires_ms = read_request(raw, blob)
    been = read_past(past, due_ms)
    if delivery is None:
        delivery, details.started_ms = been.delivery, been.started_ms or None
    lane = suspects_of(lane) if been.suspect else lane
    if held:
        delivery, details.started_ms, lane = held[0], held[1], held[2].decode()
        details.worker, details.cancel_requested = worker.decode(), bool(requested)
    return Job(
        new,
        STATUSES[code],
        lane,
        been.due_ms,
        been.attempt,
        delivery,
        been.rescues,
        been.snoozes,
        been.put_backs,
        expires_ms,
        details,
    )


def _read_record(record: bytes, details: JobDetails) -> int:
    """Return the last delivery of a finished job; the rest of its record goes to *details*."""
    _, delivery, started_ms, details.finished_ms, length = _RECORD.unpack_from(record)
    at = _RECORD.size + length
    details.started_ms = started_ms or None
    details.worker = record[_RECORD.size : at].decode() or None
    if _U32.unpack_from(record, at)[0]:
        details.result = record[at + 4 :]
    return delivery
