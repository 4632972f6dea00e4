"""Annotations, resolved as far as they can be."""

from __future__ import annotations

import inspect
import sys
from functools import partial
from types import SimpleNamespace
from typing import Any, get_type_hints

from litestar_queues_core.conversion.codec import short


class Unresolved:
    """An annotation that cannot be evaluated.

    Attributes:
        reason: Why, for people.
    """

    def __init__(self, annotation: object, error: Exception) -> None:
        self.reason: str = (
            f"its annotation {short(annotation)} cannot be resolved: {error}; "
            f"what it names must be importable at the top of its module"
        )


def hints_of(target: Any) -> dict[str, Any]:
    """Return the evaluated annotations of a function or class; bad ones as :class:`Unresolved`."""
    target = _annotated(target)
    try:
        return get_type_hints(target)
    except Exception:  # noqa: BLE001  (an annotation may do anything; each is tried alone below)
        owners = reversed(target.__mro__) if isinstance(target, type) else (target,)
        return {
            name: _resolved(name, annotation, owner)
            for owner in owners
            for name, annotation in inspect.get_annotations(owner).items()
        }


def _annotated(target: Any) -> Any:
    """Return the function or class that carries the annotations of *target*."""
    while isinstance(target, partial):
        target = target.func
    if isinstance(target, type) or hasattr(target, "__annotations__"):
        return target
    return type(target).__call__


def _resolved(name: str, annotation: Any, owner: Any) -> Any:
    scope = vars(sys.modules[owner.__module__]) if owner.__module__ in sys.modules else {}
    alone = SimpleNamespace(__annotations__={name: annotation})
    try:
        return get_type_hints(alone, {**getattr(owner, "__globals__", scope)})[name]
    except Exception as error:  # noqa: BLE001  (an annotation may do anything)
        return Unresolved(annotation, error)
