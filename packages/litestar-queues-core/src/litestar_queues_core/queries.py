"""What a caller asks to find, checked and put into the form that stores expect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from litestar_queues_core.config import choice, instance, several, whole
from litestar_queues_core.errors import ConfigError
from litestar_queues_core.model import FINISHED, Status
from litestar_queues_core.settlements import JobQuery
from litestar_queues_core.text import clean_text, storable_key

LARGEST_PAGE = 100_000

_STORED_FORMS: dict[str, Callable[[str], str]] = {
    "queue": clean_text,
    "task": clean_text,
    "key": storable_key,
    "text": clean_text,
    "cursor": str,
}
_UNFINISHED = tuple(status for status in Status if status not in FINISHED)


def checked_query(query: JobQuery | None, filters: dict[str, Any]) -> JobQuery:
    """Return *query*, or that of *filters*, as a store can answer it.

    Raises:
        TypeError: Both are given, or a filter is unknown.
        ConfigError: A field has a value that cannot be looked for.
    """
    if query is None:
        query = JobQuery(**filters)
    elif filters:
        raise TypeError("find() takes a JobQuery or its fields by name, not both")
    elif not isinstance(query, JobQuery):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"find() takes a JobQuery, not {query!r}")
    whole(query.limit, "JobQuery.limit", least=1, most=LARGEST_PAGE)
    texts: dict[str, Any] = {}
    for field, stored in _STORED_FORMS.items():
        value = getattr(query, field)
        instance(value, f"JobQuery.{field}", str, optional=True)
        texts[field] = value if value is None else stored(value)
    return replace(query, status=_statuses(query.status), **texts)


def cancellable(query: JobQuery) -> JobQuery:
    """Return *query*, narrowed to jobs that have not ended if it names no status."""
    return query if query.status else replace(query, status=_UNFINISHED)


def revivable(query: JobQuery) -> JobQuery:
    """Return *query*, narrowed to failed jobs if it names no status."""
    return query if query.status else replace(query, status=(Status.FAILED,))


def foreign_cursor(cursor: str) -> ConfigError:
    """Return the error of a store that is given a cursor it cannot have made."""
    shown = cursor if len(cursor) <= 50 else f"{cursor[:47]}..."
    return ConfigError(f"{shown!r} is no cursor of this store; take that of the page before")


def _statuses(value: object) -> tuple[Status, ...]:
    names = (value,) if isinstance(value, str) else several(value, "JobQuery.status", "statuses")
    for one in names:
        choice(one, "JobQuery.status", [str(status) for status in Status])
    return tuple(map(Status, names))
