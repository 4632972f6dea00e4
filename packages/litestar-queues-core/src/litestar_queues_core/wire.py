"""The bytes in which persistent stores keep what they never look into.

Every function here has its reader beside it.  Readers ignore fields they do not know and
give missing ones their defaults, so two versions of the library can share a store.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from functools import lru_cache
from typing import Any, cast

from litestar_queues_core.model import (
    AttemptRecord,
    Backoff,
    Event,
    JobMeta,
    Progress,
    TaskSpec,
)

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def _lean(value: Any) -> dict[str, Any]:
    """Return the fields of a record that differ from their defaults."""
    lean: dict[str, Any] = {}
    for one in fields(value):
        if not one.init:
            continue
        default = one.default_factory() if one.default_factory is not MISSING else one.default
        content = getattr(value, one.name)
        if content != default:
            lean[one.name] = content
    return lean


def _known(kind: type[Any], data: Mapping[str, Any]) -> dict[str, Any]:
    names = {one.name for one in fields(kind) if one.init}
    return {name: value for name, value in data.items() if name in names}


def encode_spec(spec: TaskSpec) -> bytes:
    """Return the bytes of *spec*; encoded once per object."""
    if spec.encoded is None:
        lean = _lean(spec)
        if "backoff" in lean:
            lean["backoff"] = _lean(spec.backoff)
        object.__setattr__(spec, "encoded", _encode(lean).encode())
    return cast(bytes, spec.encoded)


@lru_cache(maxsize=4096)
def decode_spec(data: bytes) -> TaskSpec:
    """Return the spec that *data* holds; one object per distinct content."""
    read = _known(TaskSpec, json.loads(data))
    if "backoff" in read:
        read["backoff"] = Backoff(**_known(Backoff, read["backoff"]))
    return TaskSpec(**read)


def encode_errors(records: Sequence[AttemptRecord]) -> bytes | None:
    """Return the bytes of a job's attempt records; ``None`` for none."""
    return _encode([_lean(one) for one in records]).encode() if records else None


def decode_errors(data: bytes | None) -> list[AttemptRecord]:
    """Return the attempt records that *data* holds."""
    return [AttemptRecord(**_known(AttemptRecord, one)) for one in json.loads(data)] if data else []


def encode_meta(meta: JobMeta | None) -> bytes | None:
    """Return the bytes of a job's group, headers and schedule; ``None`` for none."""
    return _encode(_lean(meta)).encode() if meta is not None else None


def decode_meta(data: bytes | None) -> JobMeta | None:
    """Return what :func:`encode_meta` encoded."""
    return JobMeta(**_known(JobMeta, json.loads(data))) if data else None


def encode_event(event: Event) -> bytes:
    """Return the bytes of an event."""
    lean = _lean(event)
    if event.progress is not None:
        lean["progress"] = _lean(event.progress)
    return _encode(lean).encode()


def decode_event(data: bytes) -> Event:
    """Return the event that *data* holds."""
    read = _known(Event, json.loads(data))
    if "progress" in read:
        read["progress"] = Progress(**_known(Progress, read["progress"]))
    return Event(**read)
