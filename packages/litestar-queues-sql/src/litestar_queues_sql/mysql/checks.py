"""What may slow jobs down, or lose them, on a server of MySQL or MariaDB."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from litestar_queues_core.findings import Finding
from litestar_queues_sql.checks import LONG_SECONDS, check_tables, tables
from litestar_queues_sql.database import Texts
from litestar_queues_sql.script import Script, Sql

LONG_HISTORY = 1_000_000
SMALL_PACKET = 16 * 2**20

_INDEXES = Sql("""
    SELECT table_name, GROUP_CONCAT(column_name ORDER BY seq_in_index), MIN(non_unique) = 0, 0, 1,
        index_name
    FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name $among
    GROUP BY table_name, index_name
""")
_ENGINES = Sql("""
    SELECT table_name, engine FROM information_schema.tables
    WHERE table_schema = DATABASE() AND table_name $among AND engine <> 'InnoDB'
""")
_SETTINGS = Sql("""
    SELECT @@log_bin, @@binlog_format, @@innodb_flush_log_at_trx_commit, @@max_allowed_packet
""")
_TRANSACTIONS = Sql("""
    SELECT trx.trx_mysql_thread_id, coalesce(process.user, ''), coalesce(process.command, ''),
        CAST(TIMESTAMPDIFF(SECOND, trx.trx_started, NOW()) AS SIGNED)
    FROM information_schema.innodb_trx AS trx
    LEFT JOIN information_schema.processlist AS process ON process.id = trx.trx_mysql_thread_id
    WHERE trx.trx_mysql_thread_id <> CONNECTION_ID() ORDER BY 4 DESC
""")
_HISTORY = Sql("""
    SELECT CAST(coalesce(max(`count`), 0) AS SIGNED) FROM information_schema.innodb_metrics
    WHERE name = 'trx_rseg_history_len'
""")


def check(texts: Texts) -> Script[list[Finding]]:
    """Look at the tables, and at the settings of the server."""
    names = tables(texts)
    findings = yield from check_tables(texts, _INDEXES, names)
    findings += _engines((yield _ENGINES(names)))
    ((log, form, flush, packet),) = yield _SETTINGS()
    return [*findings, *_logging(bool(log), form, flush), *_packets(packet)]


def check_transactions() -> Script[list[Finding]]:
    """Look at transactions that are open for long; that is a privilege."""
    found = [*_transactions((yield _TRANSACTIONS())), *_history((yield _HISTORY()))]
    return found or [Finding("ok", "transactions", "none is open for long")]


def unseen(error: Exception) -> Finding:
    """Return what to say without that privilege."""
    return Finding(
        "ok",
        "transactions",
        f"are not looked at, for this user may not see them ({error.__cause__}): GRANT PROCESS ON "
        "*.* to it, or look at information_schema.innodb_trx as another",
    )


def _engines(rows: Sequence[Sequence[Any]]) -> Iterator[Finding]:
    for table, engine in rows:
        yield Finding(
            "problem",
            "engine",
            f"table {table} is kept by {engine}, which has no transactions: jobs may be lost",
            f"execute ALTER TABLE {table} ENGINE = InnoDB",
        )


def _logging(log: bool, form: str, flush: int) -> Iterator[Finding]:
    if log and form == "STATEMENT":
        yield Finding(
            "problem",
            "settings",
            "binlog_format is STATEMENT, which cannot log the transactions of the queue",
            "set binlog_format to ROW or MIXED",
        )
    if flush != 1:
        yield Finding(
            "warning",
            "settings",
            f"innodb_flush_log_at_trx_commit is {flush}: jobs that were acknowledged may be lost "
            "when the server fails",
            "set it to 1",
        )


def _packets(size: int) -> Iterator[Finding]:
    if size < SMALL_PACKET:
        yield Finding(
            "warning",
            "settings",
            f"max_allowed_packet is {size:,} bytes: payloads take twice their size in it, and "
            "those of a batch go together",
            f"set max_allowed_packet to {SMALL_PACKET:,} or more",
        )


def _transactions(rows: Sequence[Sequence[Any]]) -> Iterator[Finding]:
    for thread, user, command, seconds in rows:
        if seconds > LONG_SECONDS:
            doing = "idle" if command == "Sleep" else command or "its connection is not seen"
            yield Finding(
                "warning",
                "transactions",
                f"connection {thread} of {user!r} has had a transaction open for {seconds:,} s "
                f"({doing}), so rows that are deleted stay, and claims become slow",
                f"let its application commit, or end it: KILL {thread}",
            )


def _history(rows: Sequence[Sequence[Any]]) -> Iterator[Finding]:
    ((length,),) = rows
    if length > LONG_HISTORY:
        yield Finding(
            "warning",
            "dead rows",
            f"the server has {length:,} changes still to purge, so claims become slow",
            "end transactions that are open for long, and see that innodb_purge_threads suffice",
        )
