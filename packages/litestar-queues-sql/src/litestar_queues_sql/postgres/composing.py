"""Putting the statement of an exchange together from the parts that it needs."""

from __future__ import annotations

from collections.abc import Iterator
from string import Template
from typing import NamedTuple

from litestar_queues_core.lifecycle import KEPT_ATTEMPTS
from litestar_queues_sql.jobs import SOON_MS
from litestar_queues_sql.postgres import statements as parts
from litestar_queues_sql.postgres.dialect import NOW_MS
from litestar_queues_sql.postgres.query import Query


class Form(NamedTuple):
    """Which statement an exchange needs.

    Attributes:
        settles: ``"completed"`` if nothing else happened, ``"settled"``, or nothing.
        claims: Whether it claims.
        others: Whether it claims from lanes that are not named, too.
        suspects: Whether it claims a suspect first.
        most: No less than the number of jobs it claims.
        again: Whether the number of the exchange may be remembered already.
        relaxed: Whether its commit need not wait for the disk.
    """

    settles: str = ""
    claims: bool = False
    others: bool = False
    suspects: bool = False
    most: int = 128
    again: bool = False
    relaxed: bool = False


def compose(form: Form, prefix: str) -> Query:
    """Return the statement of this form."""
    ctes = ", ".join(part.strip() for part in _ctes(form))
    rows = parts.ROWS if form.claims else ""
    text = _fill(f"WITH {ctes} {_header(form)} {rows}", now=NOW_MS, most=str(form.most))
    return Query(prefix, text)


def most_of(limit: int) -> int:
    """Return the form's number for a limit: a power of two, so that there are few forms."""
    return max(128, 1 << (limit - 1).bit_length())


def _fill(text: str, **words: str) -> str:
    return Template(text).safe_substitute(words)


def _ctes(form: Form) -> Iterator[str]:
    yield _fill(parts.BEGINNING, relaxed=parts.RELAXED if form.relaxed else "")
    yield from _settling(form)
    if form.claims:
        yield from _claiming(form)
    leaving = [parts.FREE_BY_END] * bool(form.settles) + [parts.FREE_BY_START] * form.claims
    if leaving:
        yield _fill(parts.FREED, free_keys=" UNION ALL ".join(leaving))
    some = "EXISTS (SELECT 1 FROM picked)" if form.claims else "false"
    skip = "ON CONFLICT DO NOTHING" if form.again else ""
    yield _fill(parts.ENDING, busy="true" if form.settles else some, skip=skip)


def _settling(form: Form) -> Iterator[str]:
    if not form.settles:
        yield parts.NOTHING_SETTLED
    elif form.settles == "completed":
        yield _fill(parts.COMPLETED, held=parts.HELD_BY_US)
        yield _fill(
            parts.ENDED,
            attempts="attempt",
            errors="job.errors",
            result=parts.HIDDEN,
            or_back="",
        )
    else:
        errors = _fill(parts.ERRORS, kept=str(KEPT_ATTEMPTS))
        yield _fill(parts.SETTLED, errors=errors, held=parts.HELD_BY_US)
        yield _fill(
            parts.ENDED,
            attempts="attempt + free.attempts",
            errors=errors,
            result=parts.HIDDEN,
            or_back="UNION ALL SELECT place FROM back",
        )


def _claiming(form: Form) -> Iterator[str]:
    room, other_room, suspect, others = "one.cap", ":other_room", "", ""
    if form.suspects:
        yield _fill(parts.SUSPECTS, of_lane=_fill(parts.OF_LANE, room="1"))
        suspect = "SELECT spot FROM suspect UNION ALL"
        room += " - (SELECT count(*) FROM suspect WHERE suspect.lane = one.lane || '~')"
        other_room += " - (SELECT count(*) FROM suspect WHERE left(lane, -1) <> ALL (:lanes))"
    if form.others:
        others = _fill(
            parts.OTHERS,
            of_lane=_fill(parts.OF_LANE, room=":other_room"),
            room=other_room,
        )
    of_lane = _fill(parts.OF_LANE, room=room)
    yield _fill(parts.PICKED, suspect=suspect, others=others, of_lane=of_lane)


def _header(form: Form) -> str:
    lanes, due, still_held = "NULL::json", "NULL::bigint", ""
    if form.settles:
        still_held = "AND request.job NOT IN (SELECT id FROM gone)"
    if form.settles == "settled":
        lanes = _fill(
            "(SELECT json_agg(DISTINCT lane) FROM back WHERE due_ms <= now_ms + $soon)",
            soon=str(SOON_MS),
        )
        due = "(SELECT min(due_ms) FROM back WHERE due_ms > now_ms)"
    return _fill(parts.HEADER, lanes=lanes, due=due, still_held=still_held)
