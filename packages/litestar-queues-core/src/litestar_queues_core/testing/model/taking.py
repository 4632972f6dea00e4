"""Enqueue, cancel, revive, release keys: what their answers must be."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from litestar_queues_core.errors import KeyConflictError
from litestar_queues_core.ids import JobId
from litestar_queues_core.lanes import ordinary
from litestar_queues_core.model import NewJob, Status
from litestar_queues_core.settlements import CancelOutcome, Enqueued
from litestar_queues_core.testing.model.disagreement import demand
from litestar_queues_core.testing.model.known import Holder, Known, World
from litestar_queues_core.testing.model.leaving import acquire, finish, holder_of, take

ONE_WINS = "a key is held by one job at a time"


def enqueue(world: World, jobs: Sequence[NewJob], answers: Sequence[Enqueued]) -> None:
    """Check what an enqueue answered."""
    _demand_one_each(len(jobs), answers)
    for new, answer in zip(jobs, answers, strict=True):
        holder = None if new.id in world.jobs else _other_holder(world, new, answer)
        if holder is not None:
            _loses(world, new.id, new.spec.task, holder, answer)
            _demand_status(answer, _statuses(world, holder.job))
            continue
        demand(
            (answer.id, answer.created, answer.error) == (new.id, True, None),
            "an enqueued job is taken",
            allowed=f"{world.name(new.id)} is created",
            answered=_said(world, answer),
        )
        if new.id not in world.jobs:
            known = take(world, new)
            _demand_status(answer, known.open.get("status", (known.status,)))


def _other_holder(world: World, new: NewJob, answer: Enqueued) -> Holder | None:
    """Return the other job that holds the key of a new one; the store decides doubtful cases."""
    if new.key is None:
        return None
    holder, certain = holder_of(world, new.key.key)
    if holder is None or holder.job == new.id or not (certain or not answer.created):
        return None
    return holder


def _loses(world: World, job_id: JobId, task: str, holder: Holder, answer: Enqueued) -> None:
    """Check what a job was answered whose key another one holds."""
    who = f"{world.name(holder.job)}, which holds the key of {world.name(job_id)}"
    if holder.task != task:
        demand(
            isinstance(answer.error, KeyConflictError) and not answer.created,
            ONE_WINS,
            allowed=f"KeyConflictError: {who}",
            answered=_said(world, answer),
        )
        return
    demand(
        (answer.id, answer.created, answer.error) == (holder.job, False, None),
        ONE_WINS,
        allowed=f"not created: {who}",
        answered=_said(world, answer),
    )


def _demand_status(answer: Enqueued, statuses: Collection[object]) -> None:
    demand(
        answer.error is not None or answer.status in statuses,
        "an enqueue tells how the job stands",
        allowed=" or ".join(map(str, statuses)),
        answered=answer.status,
    )


def _statuses(world: World, job_id: JobId) -> tuple[Status | None, ...]:
    """Return how a job stood before its turn in the batch, and how it stands after the batch."""
    known, seen = world.jobs.get(job_id), world.seen.get(job_id)
    return known.status if known else None, seen.status if seen else None


def cancel(
    world: World, ids: Sequence[JobId], answers: Sequence[CancelOutcome], *, running: bool
) -> None:
    """Check what a cancel answered."""
    _demand_one_each(len(ids), answers)
    expected = [_cancel(world, job_id, running=running) for job_id in ids]
    demand(
        list(answers) == expected,
        "cancel says what it did",
        allowed=", ".join(expected),
        answered=", ".join(answers),
    )


def _cancel(world: World, job_id: JobId, *, running: bool) -> CancelOutcome:
    known = world.jobs.get(job_id)
    if known is None:
        return CancelOutcome.NOT_FOUND
    if known.status.finished:
        return CancelOutcome.ALREADY_FINISHED
    if known.status is not Status.RUNNING:
        finish(world, known, Status.CANCELLED)
        return CancelOutcome.CANCELLED
    if not running:
        return CancelOutcome.NOT_WAITING
    known.cancel_requested = True
    return CancelOutcome.REQUESTED


def revive(world: World, ids: Sequence[JobId], answers: Sequence[Enqueued]) -> None:
    """Check what a revival answered; of several jobs with one key any may win."""
    _demand_one_each(len(ids), answers)
    pairs = sorted(zip(ids, answers, strict=True), key=lambda pair: not pair[1].created)
    for job_id, answer in pairs:
        known = world.jobs.get(job_id)
        if known is None or not known.status.finished:
            demand(
                answer.error is not None and not answer.created,
                "only finished jobs are revived",
                allowed=f"an error: {known or world.name(job_id)}",
                answered=_said(world, answer),
            )
        else:
            _revive(world, known, answer)


def _revive(world: World, known: Known, answer: Enqueued) -> None:
    holder, certain = holder_of(world, known.key.key) if known.key else (None, True)
    if holder is not None and holder.job != known.id and (certain or not answer.created):
        _loses(world, known.id, known.spec.task, holder, answer)
        return
    demand(
        (answer.id, answer.created, answer.error) == (known.id, True, None),
        "a finished job is revived",
        allowed=f"{known.name} is pending again",
        answered=_said(world, answer),
    )
    _begin_anew(world, known)


def _begin_anew(world: World, known: Known) -> None:
    known.status = Status.PENDING
    known.lane = ordinary(known.lane)
    known.attempt = known.rescues = known.put_backs = 0
    known.open["snoozes"] = (known.snoozes, 0)
    known.open["progress"] = (known.progress, None)
    known.open["started_ms"] = (known.started_ms, None)
    known.cancel_requested = False
    known.expires_ms = known.finished_ms = known.result = None
    known.at("due_ms", world.now)
    acquire(world, known)


def release_keys(world: World, keys: Sequence[str], answers: Sequence[bool]) -> None:
    """Check whether each key was held."""
    _demand_one_each(len(keys), answers)
    for key, answer in zip(keys, answers, strict=True):
        holder, certain = holder_of(world, key)
        demand(
            not certain or answer is (holder is not None),
            "releasing a key says whether it was held",
            allowed=f"{key}: {holder is not None}",
            answered=answer,
        )
        world.keys.pop(key, None)


def _demand_one_each(number: int, answers: Sequence[object]) -> None:
    demand(
        len(answers) == number,
        "answers come in the order of the requests",
        allowed=f"{number} answers",
        answered=f"{len(answers)} answers",
    )


def _said(world: World, answer: Enqueued) -> str:
    error = f", {type(answer.error).__name__}: {answer.error}" if answer.error else ""
    created = "created" if answer.created else "not created"
    return f"{world.name(answer.id)} {created}, {answer.status}{error}"
