"""Jobs and settlements for tests, with only that spelled out which the test is about."""

from __future__ import annotations

from typing import Any

from litestar_queues_core.ids import JobId, new_job_id, new_job_ids
from litestar_queues_core.model import Job, JobMeta, KeyRule, NewJob, TaskSpec
from litestar_queues_core.settlements import Kind, Settlement


def make_spec(**options: Any) -> TaskSpec:
    """Return a spec of the task ``tests.echo`` with the given options."""
    options.setdefault("task", "tests.echo")
    return TaskSpec(**options)


def make_job(
    *,
    job_id: JobId | None = None,
    payload: bytes = b"1[]",
    delay_ms: int = 0,
    due_ms: int | None = None,
    expires_in_ms: int | None = None,
    expires_ms: int | None = None,
    key: KeyRule | str | None = None,
    meta: JobMeta | None = None,
    **options: Any,
) -> NewJob:
    """Return a request to run a task.

    Args:
        job_id: Its id; by default a new one.
        payload: Its encoded arguments.
        delay_ms: See :class:`NewJob`, like the next four.
        due_ms: When it is due.
        expires_in_ms: How long after that it expires.
        expires_ms: When it expires.
        meta: Group, headers, schedule.
        key: A rule, or just the key.
        options: Fields of its :class:`TaskSpec`, such as ``queue`` and ``priority``.
    """
    return NewJob(
        id=job_id or new_job_id(),
        spec=make_spec(**options),
        payload=payload,
        delay_ms=delay_ms,
        due_ms=due_ms,
        expires_in_ms=expires_in_ms,
        expires_ms=expires_ms,
        key=KeyRule(key=key) if isinstance(key, str) else key,
        meta=meta,
    )


def make_jobs(count: int, **fields: Any) -> list[NewJob]:
    """Return *count* requests that differ in their ids, which rise."""
    return [make_job(job_id=job_id, **fields) for job_id in new_job_ids(count)]


def settled(job: Job, kind: Kind, **fields: Any) -> Settlement:
    """Return the settlement that ends this delivery of *job*."""
    return Settlement(id=job.id, delivery=job.delivery, kind=kind, **fields)
