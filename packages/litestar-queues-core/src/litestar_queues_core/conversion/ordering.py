"""One order for what has none, so that equal values give equal payloads."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

canonical: Callable[[Any], str] = json.JSONEncoder(
    separators=(",", ":"), sort_keys=True, allow_nan=False
).encode
"""The one text of a plain JSON value."""


def in_order(items: list[Any]) -> list[Any]:
    """Return plain JSON *items* in the order of their texts."""
    kinds = set(map(type, items))
    return sorted(items, key=None if len(kinds) == 1 and kinds <= {int, str} else canonical)
