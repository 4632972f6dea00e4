"""Requests on their way to the scripts, and what these answer."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

from litestar_queues_core.errors import KeyConflictError, StoreError
from litestar_queues_core.ids import JobId
from litestar_queues_core.model import NewJob, Status
from litestar_queues_core.settlements import Enqueued
from litestar_queues_resp.client import Word
from litestar_queues_resp.layout import (
    STATUSES,
    flags_of,
    key_bytes,
    plain_tail,
    raw_id,
    rule_code,
    tail,
    text_id,
)
from litestar_queues_resp.scripts import BYTES_AT_ONCE

UNENCODABLE = (struct.error, OverflowError, ValueError)
"""What is raised for a value that has no place in the layout."""

JOBS_AT_ONCE = 500
"""A larger batch is taken by several scripts, so that others are not kept waiting."""


def request_words(jobs: Sequence[NewJob]) -> tuple[list[NewJob], list[Word]]:
    """Return the arguments of ``enqueue.lua``, and the order in which they have the jobs."""
    ordered: list[NewJob] = []
    words: list[Word] = []
    for like, group in groupby(jobs, _likeness):
        members = list(group)
        if like is None:
            for job in members:
                words += (0, *job_words(job))
        else:
            members.sort(key=_id)  # they are kept together, in the order of their claims
            words += (len(members), *like, *map(plain_tail, members))
        ordered += members
    return ordered, [b"".join([raw_id(job.id) for job in ordered]), *words]


_id = attrgetter("id")


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


def read_taken(
    jobs: Sequence[NewJob],
    ordered: Sequence[NewJob],
    answers: Sequence[tuple[int, Sequence[Any]]],
) -> list[Enqueued]:
    """Return what became of *jobs*; *answers* tells of those that are not just pending."""
    if not answers:
        return [Enqueued(job.id) for job in jobs]
    told: dict[int, Enqueued] = {}
    for place, answer in answers:
        job = ordered[place - 1]
        if len(answer) == 1:
            told[id(job)] = Enqueued(job.id, True, Status.SCHEDULED)
        else:
            told[id(job)] = loser(job.key.key if job.key else "", job.spec.task, answer)
    return [told.get(id(job)) or Enqueued(job.id) for job in jobs]


def loser(key: str, task: str, answer: Sequence[Any]) -> Enqueued:
    """Return the answer to a job of *task* whose key is held, given (holder, its task, status)."""
    holder, other = text_id(answer[0]), str(answer[1], "utf-8")
    code: int = answer[2]
    error = None if other == task else KeyConflictError(key, task=task, holder=other)
    return Enqueued(holder, False, STATUSES[code] if code >= 0 else None, error)


def sorted_out(jobs: Sequence[NewJob]) -> tuple[list[NewJob], dict[JobId, Enqueued]]:
    """Return the jobs that can be kept, each once, and the answers to those that cannot."""
    refused: dict[JobId, Enqueued] = {}
    fit: dict[JobId, NewJob] = {}
    for job in jobs:
        try:
            proper = text_id(raw_id(job.id)) == job.id
        except ValueError:
            proper = False
        if proper:
            fit.setdefault(job.id, job)
        else:
            error = StoreError(f"the id of a job must be a UUID in its usual form, not {job.id!r}")
            refused[job.id] = Enqueued(job.id, False, None, error)
    return list(fit.values()), refused


def batches(jobs: Sequence[NewJob]) -> Iterator[Sequence[NewJob]]:
    """Yield *jobs* in batches that one script may take."""
    start = size = 0
    for place, job in enumerate(jobs):
        size += len(job.payload)
        if place > start and (size > BYTES_AT_ONCE or place - start == JOBS_AT_ONCE):
            yield jobs[start:place]
            start, size = place, len(job.payload)
    if jobs:
        yield jobs[start:]
