"""Statements with named parameters, for those that have many."""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Template

from litestar_queues_sql.database import TABLES

_MARK = re.compile(r"(?<![:\"]):([a-z_]+)")


class Query:
    """The text of a statement, and the order of its parameters.

    Args:
        prefix: What the names of the tables begin with.
        text: With ``:name`` for parameters and ``$words`` for tables and parts.
        parts: What the words stand for that are no tables; may contain words and parameters.
    """

    __slots__ = ("names", "text")

    def __init__(self, prefix: str, text: str, **parts: str) -> None:
        words = {name: prefix + name for name in TABLES}
        whole = Template(Template(text).safe_substitute(parts)).substitute(words)
        self.names: list[str] = list(dict.fromkeys(_MARK.findall(whole)))
        places = {name: f"${number}" for number, name in enumerate(self.names, start=1)}
        self.text: str = " ".join(_MARK.sub(lambda mark: places[mark[1]], whole).split())

    def params(self, values: Mapping[str, object]) -> list[object]:
        """Return the parameters in their order."""
        return [values[name] for name in self.names]
