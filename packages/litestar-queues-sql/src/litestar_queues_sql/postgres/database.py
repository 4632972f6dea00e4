"""A PostgreSQL database as a database of scripts."""

from __future__ import annotations

from litestar_queues_sql.postgres.dialect import CLOCK, POSTGRES
from litestar_queues_sql.postgres.errors import CONFLICTS, state_of, translated
from litestar_queues_sql.server import Lend, ServerDatabase, System

__all__ = ["Lend", "PostgresDatabase"]

_LIMITS = """
    SET LOCAL lock_timeout = '5s';
    SET LOCAL statement_timeout = '9s';
    SET LOCAL idle_in_transaction_session_timeout = '20s'
"""
WRITE = f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; {_LIMITS}"
READ = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {_LIMITS}"

SYSTEM = System(
    name="PostgreSQL",
    dialect=POSTGRES,
    clock=CLOCK,
    conflicts=CONFLICTS,
    code_of=state_of,
    translated=translated,
    write=WRITE,
    read=READ,
)


class PostgresDatabase(ServerDatabase):
    """The tables of one store, reached through connections of an adapter."""

    system = SYSTEM
