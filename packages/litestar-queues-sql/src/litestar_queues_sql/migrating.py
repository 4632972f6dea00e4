"""The tables as plain statements, for tools that run and record migrations themselves."""

from __future__ import annotations

from litestar_queues_sql.database import TABLES, Texts
from litestar_queues_sql.schema import MIGRATIONS, VERSIONS, noted, statements


def step_to(version: int, texts: Texts) -> list[str]:
    """Return the statements that lead from the previous schema version to *version*.

    They note in the tables what version those have, as the library does that upgrades by itself.
    """
    up_to = MIGRATIONS[:version]
    made = statements(version - 1, up_to, texts.dialect.additions)
    return [texts[sql] for sql in (VERSIONS, *made, noted(version - 1, up_to))]


def removal(texts: Texts) -> list[str]:
    """Return the statements that remove all tables, with all that is in them."""
    return [f"DROP TABLE IF EXISTS {texts.prefix}{name}" for name in TABLES]
