"""An exchange on its way to the script, and its answer."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby, zip_longest
from typing import Any, TypeAlias

from litestar_queues_core.ids import JobId
from litestar_queues_core.lifecycle import TRANSITIONS
from litestar_queues_core.model import Event, Failure, Job
from litestar_queues_core.settlements import Exchange, Kind, Settlement, Wants
from litestar_queues_resp.client import Word
from litestar_queues_resp.eventlog import event_words
from litestar_queues_resp.layout import (
    CODES,
    fence,
    places_text,
    raw_id,
    read_fences,
    read_placed,
    split_ids,
    text_id,
)
from litestar_queues_resp.reading import Held, Kept, fresh_jobs, held_job
from litestar_queues_resp.taking import job_words

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
REMOTE = frozenset(
    {Kind.DISPATCH, Kind.DISPATCH_REF, Kind.DISPATCH_FAILED, Kind.DISPATCH_CANCELLED}
)
"""Steps of work that runs elsewhere, which this store does not keep yet."""


Place: TypeAlias = tuple[bytes, int, int, int, bytes]
"""Where a lease holds a job.  Only a hint: the script looks, and seeks if need be.

That is the claim, the place in it from 1, how many jobs it had (0 if that is not known), the
delivery and the fence of the job that was put there.  A plain tuple, because one is made per job.
"""
Places = dict[JobId, Place]
_NOWHERE: Place = (b"", 0, 0, 0, b"")
_COMPLETE = Kind.COMPLETE

MOST = 10_000
"""More are not claimed at once: a claim counts its jobs in two bytes."""


def exchange_words(
    settlements: Sequence[Settlement], wants: Wants, after: str, places: Places
) -> list[Word]:
    """Return the arguments of ``exchange.lua`` behind the lease and the number.

    Args:
        settlements: What is to be settled.
        wants: What is to be claimed.
        after: The unnamed lane that was served last.
        places: Where the lease holds the jobs.
    """
    words: list[Word] = []
    for plain, group in groupby(settlements, _is_plain):
        if plain:
            for part in _by_claim(list(group), places):
                words += _completed(part, places)
        else:
            words += chain.from_iterable(_one(one, places) for one in group)
    words += ("end", min(wants.limit, MOST), wants.others, wants.suspects, after, len(wants.lanes))
    for lane, cap in wants.lanes:
        words += (lane, cap)
    words += (len(wants.executors), *wants.executors)
    return words


def _is_plain(one: Settlement) -> bool:
    return (
        one.kind is _COMPLETE
        and one.closing is None
        and one.failure is None
        and not (one.events or one.follow_ups)
    )


def _by_claim(group: list[Settlement], places: Places) -> Iterable[list[Settlement]]:
    """Return *group* in parts that were claimed together; in none does a job come twice."""
    if len({one.id for one in group}) < len(group):
        return [[one] for one in group]
    parts: dict[bytes, list[Settlement]] = {}
    for one in group:
        parts.setdefault(places.get(one.id, _NOWHERE)[0], []).append(one)
    return parts.values()


def _completed(part: list[Settlement], places: Places) -> Iterator[Word]:
    held = [places.get(one.id, _NOWHERE) for one in part]
    claim, _, size, _, _ = held[0]
    numbers = [place[1] for place in held]
    whole = len(part) == size and numbers == sorted(numbers)
    yield "completed"
    yield claim
    yield b"" if whole else places_text(numbers)
    yield b"".join([_fence(one, place) for one, place in zip(part, held, strict=True)])
    if any(one.value is not None for one in part):
        yield 1
        yield from (b"" if one.value is None else b"=" + one.value for one in part)
    else:
        yield 0


def _fence(one: Settlement, place: Place) -> bytes:
    _, _, _, delivery, known = place
    return known if known and delivery == one.delivery else fence(one.id, one.delivery)


def _one(one: Settlement, places: Places) -> Iterator[Word]:
    transition = TRANSITIONS[one.kind]
    place = places.get(one.id, _NOWHERE)
    yield from ("one", *place[:2], _fence(one, place))
    if one.kind is Kind.PROGRESS:
        yield "progress"
    else:
        yield "waits" if transition.waits else CODES[transition.to]
    yield one.delay_ms
    yield from (transition.attempts, transition.snoozes, transition.put_backs)
    yield int(transition.clears_suspicion)
    yield int(one.kind is Kind.RELEASE and one.delay_ms <= 0)
    yield "" if one.value is None else b"=" + one.value
    yield "" if one.failure is None else failure_text(one.failure)
    yield len(one.follow_ups)
    for new in one.follow_ups:
        yield raw_id(new.id)
        yield from job_words(new)
    yield from _told(one.events)
    yield from _told([] if one.closing is None else [one.closing])
    yield from _told([] if one.closing_if_cancelled is None else [one.closing_if_cancelled])


def _told(events: Sequence[Event]) -> Iterator[Word]:
    yield len(events)
    yield from chain.from_iterable(map(event_words, events))


def failure_text(failure: Failure) -> str:
    """Return JSON without its first brace; the script puts the times before it."""
    said = {
        "outcome": failure.outcome,
        "type": failure.type,
        "message": failure.message,
        "traceback": failure.traceback,
    }
    return _encode({name: text for name, text in said.items() if text or name == "outcome"})[1:]


def read_exchange(
    answer: Sequence[Any], places: Places, refused: Sequence[tuple[JobId, int]]
) -> Exchange:
    """Return what ``exchange.lua`` answered.

    Args:
        answer: What it answered.
        places: Where the lease holds its jobs; what was claimed is added.
        refused: Fences that were not sent, since they cannot hold.
    """
    _, now_ms, due_ms, _, rejected, ended, requested, claims, worker = answer
    claimed: list[Job] = []
    for field, together, *told in claims:
        ids = split_ids(together)
        jobs = _claimed(ids, told, now_ms, worker.decode())
        count = len(jobs)
        if len(told) > _FRESH:
            numbers: Iterable[int] = [place for _, _, place in read_placed(told[_FRESH])]
            count = 0  # there may have been more
        else:
            numbers = range(1, count + 1)
        for raw, job, place in zip(ids, jobs, numbers, strict=True):
            delivery = job.delivery
            places[job.new.id] = (field, place, count, delivery, raw + delivery.to_bytes(4))
        claimed += jobs
    return Exchange(
        claimed=claimed,
        rejected=[*read_fences(rejected), *refused],
        ended=read_fences(ended),
        cancelled=[text_id(raw) for raw in requested],
        next_due_ms=due_ms if due_ms >= 0 else None,
        now_ms=now_ms,
    )


_FRESH = 3


def _claimed(ids: Sequence[bytes], told: Sequence[Any], now_ms: int, worker: str) -> list[Job]:
    """Return the jobs of one claim: requests, pasts and errors, and how they have been held."""
    blobs, pasts, errors = told[:_FRESH]
    if not pasts:
        return fresh_jobs(ids, blobs, now_ms, worker)
    kept = [Kept(*row) for row in zip_longest(ids, blobs, pasts, errors)]
    if len(told) == _FRESH:
        return [held_job(one, None, now_ms, worker) for one in kept]
    placed, started_ms, lane = told[_FRESH:]
    helds = [Held(delivery, started_ms, lane.decode()) for _, delivery, _ in read_placed(placed)]
    return [held_job(one, held, now_ms, worker) for one, held in zip(kept, helds, strict=True)]
