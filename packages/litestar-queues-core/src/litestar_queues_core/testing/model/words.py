"""How wants and answers are said in a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from litestar_queues_core.settlements import Enqueued, Exchange, Maintenance, Renewal, Wants

if TYPE_CHECKING:
    from litestar_queues_core.testing.model.known import World

Until: TypeAlias = Literal["started", "finished", "forever"] | int


def wanted(wants: Wants) -> str:
    """Say what an exchange asks for."""
    if wants.limit <= 0:
        return "claim nothing"
    parts = [f"{cap} of {lane}" for lane, cap in wants.lanes]
    parts.append(f"{wants.others} of others")
    if wants.executors:
        parts.append(f"executors {' '.join(sorted(wants.executors))}")
    if wants.suspects:
        parts.append("a suspect")
    return f"claim {wants.limit}: {', '.join(parts)}"


def said(world: World, answer: object) -> str:
    """Say an answer in a few words; nothing if it says nothing."""
    words = _words(world, answer)
    return f"  -> {words}" if words else ""


def _words(world: World, answer: object) -> str:
    if isinstance(answer, Exchange):
        parts = [f"{world.name(job.id)}/{job.delivery}" for job in answer.claimed]
        parts += [f"{world.name(job)}/{delivery} rejected" for job, delivery in answer.rejected]
        parts += [f"{world.name(job)}/{delivery} cancelled" for job, delivery in answer.ended]
        return ", ".join(parts)
    if isinstance(answer, Maintenance):
        parts = [f"{world.name(one.id)} {one.old} to {one.new}" for one in answer.moved]
        parts += [f"{answer.pruned} pruned"] * bool(answer.pruned) + ["more"] * answer.more
        return ", ".join(parts)
    if isinstance(answer, Renewal):
        return "alive" if answer.alive else "lost"
    if isinstance(answer, Exception):
        return type(answer).__name__
    if isinstance(answer, Sequence):
        return ", ".join(_one_of_many(world, one) for one in cast(Sequence[object], answer))
    return ""


def _one_of_many(world: World, answer: object) -> str:
    if not isinstance(answer, Enqueued):
        return str(answer)
    if answer.error is not None:
        return type(answer.error).__name__
    return f"{world.name(answer.id)} {'created' if answer.created else 'stands for it'}"
