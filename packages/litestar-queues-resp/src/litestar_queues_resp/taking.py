"""Requests on their way to the scripts, and what these answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from litestar_queues_core.errors import KeyConflictError, StoreError
from litestar_queues_core.ids import JobId
from litestar_queues_core.model import NewJob, Status
from litestar_queues_core.settlements import Enqueued
from litestar_queues_resp.client import Word
from litestar_queues_resp.layout import (
    KEY,
    META,
    EXPIRES,
    STATUSES,
    flags_of,
    key_bytes,
    plain_tail,
    raw_id,
    rule_code,
    tail,
    text_id,
)

_SPECIAL = KEY | EXPIRES | META


def request_words(jobs: Sequence[NewJob]) -> list[Word]:
    """Return the arguments of ``enqueue.lua``."""
    words: list[Word] = [b"".join([raw_id(job.id) for job in jobs])]
    for like, group in groupby(jobs, _likeness):
        members = list(group)
        if like is None:
            for job in members:
                words += (0, *job_words(job))
        else:
            words += (len(members), *like, *map(plain_tail, members))
    return words


def _likeness(job: NewJob) -> tuple[int, str, int] | None:
    """Return what plain jobs may share; ``None`` for others, which go one by one."""
    if (
        job.key is not None
        or job.meta is not None
        or job.due_ms is not None
        or job.delay_ms > 0
        or job.expires_ms is not None
        or job.expires_in_ms is not None
    ):
        return None
    return flags_of(job), job.spec.lane, job.spec.priority


def job_words(job: NewJob) -> Iterator[Word]:
    """Yield the arguments of ``take_one`` for a job of any kind, but its id."""
    yield flags_of(job)
    yield job.spec.lane
    yield job.spec.priority
    if job.due_ms is not None:
        yield job.due_ms
    else:
        yield f"+{job.delay_ms}" if job.delay_ms > 0 else ""
    if job.expires_ms is not None:
        yield job.expires_ms
    else:
        yield "" if job.expires_in_ms is None else f"+{job.expires_in_ms}"
    yield tail(job)
    if job.key is not None:
        yield key_bytes(job.key.key)
        yield rule_code(job.key)
        yield job.spec.task


def read_taken(jobs: Sequence[NewJob], answers: Sequence[Any]) -> list[Enqueued]:
    """Return what became of *jobs*; *answers* tells of those that are not just pending."""
    taken = [Enqueued(job.id) for job in jobs]
    for place, answer in answers:
        job = jobs[place - 1]
        if len(answer) == 1:
            taken[place - 1] = Enqueued(job.id, True, Status.SCHEDULED)
        else:
            taken[place - 1] = loser(job.key.key if job.key else "", job.spec.task, answer)
    return taken


def loser(key: str, task: str, answer: Sequence[Any]) -> Enqueued:
    """Return the answer to a job of *task* whose key is held, given (holder, its task, status)."""
    holder, other, code = text_id(answer[0]), answer[1].decode(), answer[2]
    error = None if other == task else KeyConflictError(key, task=task, holder=other)
    return Enqueued(holder, False, STATUSES[code] if code >= 0 else None, error)


def sorted_out(jobs: Sequence[NewJob]) -> tuple[list[NewJob], dict[JobId, Enqueued]]:
    """Return the jobs that can be kept, and the answers to the others."""
    refused: dict[JobId, Enqueued] = {}
    for job in jobs:
        try:
            raw_id(job.id)
        except ValueError:
            error = StoreError(f"the id of a job must be a UUID, not {job.id!r}")
            refused[job.id] = Enqueued(job.id, False, None, error)
    return [job for job in jobs if job.id not in refused] if refused else list(jobs), refused
