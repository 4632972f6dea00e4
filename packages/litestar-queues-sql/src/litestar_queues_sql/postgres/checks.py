"""What may slow jobs down, or lose them, on a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from litestar_queues_core.findings import Finding
from litestar_queues_sql.checks import LONG_SECONDS, check_tables, tables
from litestar_queues_sql.database import Texts
from litestar_queues_sql.script import Script, Sql

LONG_AGE = 100_000
"""Of transactions that came after the oldest one that a replica or a slot still wants to see."""
DEAD_ROWS, DEAD_SHARE = 50_000, 0.2

_INDEXES = Sql("""
    SELECT asked.name,
        (
            SELECT string_agg(attname::text, ',' ORDER BY place)
            FROM unnest(indkey) WITH ORDINALITY AS part (number, place)
            JOIN pg_attribute ON attrelid = indrelid AND attnum = part.number
        ),
        indisunique, indpred IS NOT NULL, indisvalid AND indisready, index.relname::text
    FROM unnest(?::text[]) AS asked (name)
    JOIN pg_index ON indrelid = to_regclass(asked.name)
    JOIN pg_class AS index ON index.oid = indexrelid
""")
_TRANSACTIONS = Sql("""
    SELECT pid, usename::text, coalesce(application_name, ''), coalesce(state, ''),
        extract(epoch FROM clock_timestamp() - xact_start)::int,
        greatest(age(backend_xmin), age(backend_xid)), datname IS NULL
    FROM pg_stat_activity
    WHERE (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL) AND pid <> pg_backend_pid()
        AND usename IS NOT NULL AND (datname = current_database() OR datname IS NULL)
        AND query NOT ILIKE 'vacuum%'
    ORDER BY 5 DESC NULLS LAST, 6 DESC
""")
"""Who keeps rows from being removed that were deleted: in this database, or, without any, for a
replica.  When a transaction of another role began is a secret; how many came after it is none."""
_PREPARED = Sql("""
    SELECT gid, owner::text, extract(epoch FROM clock_timestamp() - prepared)::int
    FROM pg_prepared_xacts WHERE database = current_database()
""")
_SLOTS = Sql("""
    SELECT slot_name::text, active, age(xmin) FROM pg_replication_slots WHERE xmin IS NOT NULL
""")
_DEAD = Sql("""
    SELECT asked.name, n_live_tup, n_dead_tup FROM unnest(?::text[]) AS asked (name)
    JOIN pg_stat_all_tables ON relid = to_regclass(asked.name)
""")
_SETTINGS = Sql("""
    SELECT name, setting FROM pg_settings
    WHERE name IN ('autovacuum', 'fsync', 'full_page_writes', 'synchronous_commit')
        AND setting = 'off'
""")

_PINS = "so rows that are deleted stay, and claims become slow"
_OFF = {
    "autovacuum": (
        "rows that are deleted are never removed, and claims become slow",
        "set autovacuum to on",
    ),
    "fsync": (
        "the server may lose all its data when its machine fails",
        "set fsync to on",
    ),
    "full_page_writes": (
        "the server may lose pages of its data when its machine fails",
        "set full_page_writes to on, unless the disk writes pages as a whole",
    ),
    "synchronous_commit": (
        "jobs that were acknowledged may be lost when the server fails",
        "set synchronous_commit to on, at least for the role of the queue",
    ),
}


def check(texts: Texts) -> Script[list[Finding]]:
    """Look at the tables, at whoever keeps deleted rows, and at the settings of the server."""
    names = tables(texts)
    findings = yield from check_tables(texts, _INDEXES, names, rebuild="REINDEX INDEX CONCURRENTLY")
    pinned = [
        *_transactions((yield _TRANSACTIONS())),
        *_prepared((yield _PREPARED())),
        *_slots((yield _SLOTS())),
    ]
    good = Finding("ok", "transactions", "none that is open keeps deleted rows for long")
    findings += pinned or [good]
    findings += _dead((yield _DEAD(names)))
    findings += _settings((yield _SETTINGS()))
    return findings


def _transactions(rows: Sequence[Sequence[Any]]) -> Iterator[Finding]:
    for pid, role, application, state, seconds, age, replica in rows:
        who = f"process {pid} of {role!r}" + (f" ({application})" if application else "")
        if replica:
            if age > LONG_AGE:
                fix = "let it end its long queries, or set hot_standby_feedback to off there"
                yield _pinning(f"the replica behind {who} wants rows of {age:,} transactions", fix)
        elif seconds is not None and seconds > LONG_SECONDS:
            yield _pinning(
                f"{who} has had a transaction open for {seconds:,} s ({state})", _fix(pid, state)
            )
        elif seconds is None and age > LONG_AGE:
            yield _pinning(
                f"{who} has a transaction open after which {age:,} others have begun",
                _fix(pid, state),
            )


def _fix(pid: int, state: str) -> str:
    if state.startswith("idle"):
        return (
            f"end it (SELECT pg_terminate_backend({pid})), let its application commit, and set "
            "idle_in_transaction_session_timeout"
        )
    return f"let it end, or end it: SELECT pg_cancel_backend({pid})"


def _pinning(message: str, fix: str) -> Finding:
    return Finding("warning", "transactions", f"{message}, {_PINS}", fix)


def _prepared(rows: Sequence[Sequence[Any]]) -> Iterator[Finding]:
    for gid, owner, seconds in rows:
        if seconds > LONG_SECONDS:
            yield _pinning(
                f"the prepared transaction {gid!r} of {owner!r} has waited for {seconds:,} s",
                f"execute COMMIT PREPARED '{gid}' or ROLLBACK PREPARED '{gid}'",
            )


def _slots(rows: Sequence[Sequence[Any]]) -> Iterator[Finding]:
    for name, active, age in rows:
        if not active or age > LONG_AGE:
            how = "is used" if active else "is used by nobody and"
            yield _pinning(
                f"the replication slot {name!r} {how} wants rows of {age:,} transactions",
                "let its replica catch up, or, if there is none any more, execute "
                f"SELECT pg_drop_replication_slot('{name}')",
            )


def _dead(rows: Sequence[Sequence[Any]]) -> Iterator[Finding]:
    for name, live, dead in rows:
        if dead > DEAD_ROWS and dead > live * DEAD_SHARE:
            yield Finding(
                "warning",
                "dead rows",
                f"table {name} has {dead:,} rows that were deleted beside {live:,} that were not: "
                "autovacuum does not keep up",
                f"end the transactions named above, if any; then execute VACUUM {name}",
            )


def _settings(rows: Sequence[Sequence[Any]]) -> Iterator[Finding]:
    for name, _ in rows:
        what, fix = _OFF[name]
        yield Finding("warning", "settings", f"{name} is off: {what}", fix)
