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
io, ib, i  zset   all ids by the instant of their enqueue: a journal (io: its end, text), cut into
                  pieces (ic: how many ids these have about), and what is left of the oldest;
                  i:<status> those that failed, were cancelled, expired
ev, ei, ej stream the event log; job, delivery and number of each event (set); job and place of
                  each (zset)
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
from typing import Literal

from litestar_queues_core.ids import JobId
from litestar_queues_core.model import (
    KeyRule,
    NewJob,
    Status,
)
from litestar_queues_core.wire import (
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
MOMENTS: dict[int, Moment] = {STARTED: "started", FINISHED: "finished", FOREVER: "forever"}
_RULES = {moment: code for code, moment in MOMENTS.items()}

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


def read_placed(data: bytes) -> list[tuple[bytes, int, int]]:
    """Return id, delivery and place of each job that a claim still holds."""
    return list(_PLACED.iter_unpack(data))


def places_text(places: Sequence[int]) -> bytes:
    """Return places in a claim as they are sent."""
    return struct.pack(f">{len(places)}H", *places)


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
