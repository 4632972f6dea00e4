"""What ``check`` says of a MariaDB server, and that the fix it names is one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

import pymysql
import pytest
from tests.databases import mariadb
from tests.databases.mariadb import MariaServer
from tests.databases.program import HOST
from tests.sqlspec.places import MARIADB

from litestar_queues_core.errors import SchemaError
from litestar_queues_core.findings import Finding, SupportsCheck
from litestar_queues_core.testing import Claimer, make_job
from litestar_queues_sql.database import PREFIX
from litestar_queues_sql.mysql import checks
from litestar_queues_sqlspec import SQLSpecBackendConfig

pytestmark = pytest.mark.service

KEYS = """
    SELECT DISTINCT table_name, index_name FROM information_schema.statistics
    WHERE table_schema = DATABASE()
"""
NUMBERED = """
    SELECT table_name FROM information_schema.columns
    WHERE table_schema = DATABASE() AND extra = 'auto_increment'
"""


def backend_of(database: mariadb.Database) -> SQLSpecBackendConfig:
    return SQLSpecBackendConfig(config=MARIADB["asyncmy"](database), create_schema=True)


async def look(database: mariadb.Database) -> Sequence[Finding]:
    async with backend_of(database).open() as store:
        assert isinstance(store, SupportsCheck)
        return await store.check()


async def bad(database: mariadb.Database, about: str) -> Sequence[Finding]:
    """Return what is wrong with one thing; each has a fix."""
    found = [one for one in await look(database) if one.about == about and one.level != "ok"]
    assert all(one.fix for one in found)
    return found


async def test_a_server_with_which_nothing_is_wrong(own_mariadb: MariaServer) -> None:
    found = await look(own_mariadb.create_database())

    assert {one.level for one in found} == {"ok"}
    assert [one.about for one in found] == ["schema", "indexes", "transactions"]
    assert "GRANT PROCESS" in found[-1].message


async def test_keys_that_are_missing(maria_database: mariadb.Database) -> None:
    await look(maria_database)
    numbered = {(table, "PRIMARY") for (table,) in maria_database.ask(NUMBERED)}
    dropped = set(maria_database.ask(KEYS)) - numbered  # without its key, nothing counts
    for table, name in dropped:
        maria_database.ask(f"ALTER TABLE {table} DROP KEY `{name}`")

    found = await bad(maria_database, "indexes")
    for one in found:
        maria_database.ask(one.fix.removeprefix("execute "))

    assert len(found) == len(dropped)
    assert {one.level for one in found} == {"problem"}
    assert await bad(maria_database, "indexes") == []


async def test_a_claim_without_its_index_names_the_fix(maria_database: mariadb.Database) -> None:
    async with backend_of(maria_database).open() as store:
        claimer = await Claimer(store).open()
        await store.enqueue([make_job()])
        maria_database.ask(f"ALTER TABLE {PREFIX}job DROP KEY ready")

        with pytest.raises(SchemaError, match="litestar queues check"):
            await claimer.claim()


async def test_a_table_without_transactions(maria_database: mariadb.Database) -> None:
    await look(maria_database)
    maria_database.ask(f"ALTER TABLE {PREFIX}event ENGINE = MyISAM")

    (found,) = await bad(maria_database, "engine")
    maria_database.ask(found.fix.removeprefix("execute "))

    assert found.level == "problem"
    assert f"table {PREFIX}event is kept by MyISAM" in found.message
    assert await bad(maria_database, "engine") == []


async def test_tables_of_a_newer_library(maria_database: mariadb.Database) -> None:
    await look(maria_database)
    maria_database.ask(f"UPDATE {PREFIX}schema SET version = version + 1")  # noqa: S608

    (found,) = await bad(maria_database, "schema")

    assert "upgrade litestar-queues-sql" in found.fix


async def test_settings_that_lose_jobs_or_refuse_them(own_mariadb: MariaServer) -> None:
    database = own_mariadb.create_database()
    own_mariadb.ask("SET GLOBAL innodb_flush_log_at_trx_commit = 2")
    own_mariadb.ask("SET GLOBAL max_allowed_packet = 1048576")

    found = await bad(database, "settings")

    assert [one.message.split()[0] for one in found] == [
        "innodb_flush_log_at_trx_commit", "max_allowed_packet",
    ]  # fmt: skip


def test_a_log_that_cannot_hold_the_transactions() -> None:
    found = list(checks._logging(log=True, form="STATEMENT", flush=1))

    assert [one.level for one in found] == ["problem"]
    assert "binlog_format to ROW or MIXED" in found[0].fix


async def test_a_transaction_that_is_left_open(
    own_mariadb: MariaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = own_mariadb.create_database()
    own_mariadb.ask(f"GRANT PROCESS ON *.* TO {mariadb.APP}")
    async with backend_of(database).open():
        monkeypatch.setattr(checks, "LONG_SECONDS", -1)
    with closing(
        pymysql.connect(host=HOST, port=own_mariadb.port, user=mariadb.APP, database=database.name)
    ) as other:
        with other.cursor() as cursor:
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
            cursor.execute(f"SELECT count(*) FROM {PREFIX}job")  # noqa: S608

        found = await bad(database, "transactions")
        number = other.thread_id()
        database.end(number)

    said = [one for one in found if f"connection {number} of 'app'" in one.message]
    assert len(said) == 1
    assert "(idle)" in said[0].message
    assert f"KILL {number}" in said[0].fix
