"""A private pgbouncer before a PostgreSQL server, where there is one on the path."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import psycopg
from tests.databases.postgres import APP, ROOT, Database, PostgresServer
from tests.databases.program import HOST, Program


class Bouncer(Program):
    """A pooler of our own in transaction mode: ``with Bouncer(server, directory) as bouncer``.

    Each transaction may run on another connection, of which there are few.

    Args:
        server: Where it connects, while that is up.
        directory: See :class:`Program`.
        size: How many connections it may have for each database and user.
        mode: Of the pool: ``transaction``, ``session`` or ``statement``.
        users: Who may connect.
    """

    def __init__(
        self,
        server: PostgresServer,
        directory: Path,
        *,
        size: int = 5,
        mode: str = "transaction",
        users: Sequence[str] = (ROOT, APP),
    ) -> None:
        super().__init__(directory)
        self._server = server
        self._size = size
        self._mode = mode
        self._users = users

    def dsn(self, database: Database) -> str:
        """Return the DSN of a database's owner, through the pooler."""
        return f"postgresql://{APP}@{HOST}:{self.port}/{database.name}"

    def prepare(self) -> None:
        lines = [f'"{user}" ""\n' for user in self._users]
        (self.directory / "users").write_text("".join(lines))

    def command(self) -> list[str]:
        settings = {
            "admin_users": ROOT,
            "auth_file": self.directory / "users",
            "auth_type": "trust",
            "default_pool_size": self._size,
            "listen_addr": HOST,
            "listen_port": self.port,
            "pool_mode": self._mode,
            "unix_socket_dir": self.directory,
        }
        lines = [f"{name} = {value}" for name, value in settings.items()]
        where = f"host={HOST} port={self._server.port}"
        file = self.directory / "pgbouncer.ini"
        file.write_text("\n".join(["[databases]", f"* = {where}", "[pgbouncer]", *lines, ""]))
        return [str(binary()), str(file)]

    def answers(self) -> bool:
        console = f"postgresql://{ROOT}@{HOST}:{self.port}/pgbouncer"
        try:
            with psycopg.connect(console, autocommit=True, connect_timeout=5) as connection:
                settings = {row[0]: row[1] for row in connection.execute("SHOW CONFIG")}
        except psycopg.OperationalError:  # nobody listens yet
            return False
        return settings["unix_socket_dir"] == str(self.directory)


@functools.cache
def binary() -> Path | None:
    """Return the pgbouncer on the path, if there is one."""
    searched = os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin"  # where Debian has it
    found = shutil.which("pgbouncer", path=searched)
    return Path(found) if found else None
