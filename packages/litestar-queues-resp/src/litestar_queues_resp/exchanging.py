"""An exchange on its way to the script, and its answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import chain, groupby, repeat, zip_longest
from typing import Any

from litestar_queues_core.lifecycle import TRANSITIONS
from litestar_queues_core.model import Event, Failure, Job
from litestar_queues_core.settlements import Exchange, Kind, Settlement, Wants
from litestar_queues_resp.client import Word
from litestar_queues_resp.eventlog import event_words
from litestar_queues_resp.layout import (
    CODES,
    claimed_job,
    fence,
    raw_id,
    read_fences,
    read_held,
    split_ids,
    text_id,
)
from litestar_queues_resp.taking import job_words

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
REMOTE = frozenset(
    {Kind.DISPATCH, Kind.DISPATCH_REF, Kind.DISPATCH_FAILED, Kind.DISPATCH_CANCELLED}
)
"""Steps of work that runs elsewhere, which this store does not keep yet."""


def exchange_words(settlements: Sequence[Settlement], wants: Wants, after: str) -> list[Word]:
    """Return the arguments of ``exchange.lua`` behind the lease and the number.

    Args:
        settlements: What is to be settled.
        wants: What is to be claimed.
        after: The unnamed lane that was served last.
    """
    words: list[Word] = []
    for plain, group in groupby(settlements, _is_plain):
        if plain:
            for distinct in _distinct(list(group)):
                words += _completed(distinct)
        else:
            words += chain.from_iterable(map(_one, group))
    words += ("end", wants.limit, wants.others, wants.suspects, after, len(wants.lanes))
    for lane, cap in wants.lanes:
        words += (lane, cap)
    words += (len(wants.executors), *wants.executors)
    return words


def _is_plain(one: Settlement) -> bool:
    return (
        one.kind is Kind.COMPLETE
        and one.closing is None
        and one.failure is None
        and not (one.events or one.follow_ups)
    )


def _distinct(group: list[Settlement]) -> Iterator[list[Settlement]]:
    """Yield *group* in parts in none of which a job comes twice."""
    if len({one.id for one in group}) == len(group):
        yield group
    else:
        yield from ([one] for one in group)


def _completed(group: Sequence[Settlement]) -> Iterator[Word]:
    yield "completed"
    yield b"".join([fence(one.id, one.delivery) for one in group])
    if any(one.value is not None for one in group):
        yield 1
        yield from ("" if one.value is None else b"=" + one.value for one in group)
    else:
        yield 0


def _one(one: Settlement) -> Iterator[Word]:
    transition = TRANSITIONS[one.kind]
    yield "one"
    yield fence(one.id, one.delivery)
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
    return _encode({name: text for name, text in said.items() if text})[1:]


def read_exchange(answer: Sequence[Any], worker: str) -> Exchange:
    """Return what ``exchange.lua`` answered to the lease of a worker of that name."""
    _, now_ms, due_ms, _, rejected, ended, requested, claims = answer
    claimed: list[Job] = []
    for together, blobs, pasts, errors, *helds in claims:
        ids = split_ids(together)
        if pasts or helds:
            held = map(read_held, helds[0]) if helds else repeat(None)
            told = zip_longest(ids, blobs, pasts, errors)
            claimed += [
                claimed_job(*one, how, now_ms, worker)
                for one, how in zip(told, held, strict=False)
            ]
        else:
            claimed += [
                claimed_job(raw, blob, None, None, None, now_ms, worker)
                for raw, blob in zip(ids, blobs, strict=True)
            ]
    return Exchange(
        claimed=claimed,
        rejected=read_fences(rejected),
        ended=read_fences(ended),
        cancelled=[text_id(raw) for raw in requested],
        next_due_ms=due_ms if due_ms >= 0 else None,
        now_ms=now_ms,
    )
