"""Private MariaDB servers that tests start and kill, where there is one on the path."""

from __future__ import annotations

import atexit
import functools
import os
import re
import secrets
import shutil
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pymysql
from tests.databases.own import DatabaseServer, OwnDatabase
from tests.databases.program import HOST, give, run

ROOT = "root"
APP = "app"
NO_SUCH_THREAD = 1094
SMALL = ("--innodb-log-file-size=16M", "--innodb-buffer-pool-size=128M")
HARMLESS = ("--innodb-flush-log-at-trx-commit=0", "--skip-innodb-doublewrite")
"""Options for servers that nobody kills: nothing waits for a disk."""


class MariaServer(DatabaseServer["Database"]):
    """A server of our own: ``with MariaServer(directory) as server``.

    ``root`` and ``app`` need no password; ``app`` has no privileges but on databases made for it.
    Each commit is synced.  Texts are latin1 and without case unless a table says otherwise: the
    defaults of the program, which are the worst that users have.

    Args:
        directory: See :class:`Program`.
        options: More of its options, which win: ``"--max-connections=10"``.
    """

    @property
    def data(self) -> Path:
        """Its data directory."""
        return self.directory / "data"

    @property
    def socket(self) -> Path:
        """The path of its Unix socket."""
        return self.directory / "socket"

    @property
    def url(self) -> str:
        """The address of the superuser."""
        return f"mysql://{ROOT}@{HOST}:{self.port}/mysql"

    def prepare(self) -> None:
        if not self.data.exists():
            run("cp", "-R", template(), self.data)

    def command(self) -> list[str]:
        settings = {
            "bind-address": HOST,
            "datadir": self.data,
            "pid-file": self.directory / "pid",
            "port": self.port,
            "socket": self.socket,
        }
        named = [f"--{name}={value}" for name, value in settings.items()]
        return [str(binary()), "--no-defaults", "--skip-name-resolve", *named, *SMALL]

    def answers(self) -> bool:
        try:
            ((directory,),) = self.ask("SELECT @@datadir")
        except pymysql.OperationalError:  # nobody listens yet
            return False
        return Path(directory) == self.data

    def ask(self, statement: str, *values: Any, database: str = "mysql") -> list[tuple[Any, ...]]:
        connection = pymysql.connect(
            host=HOST,
            port=self.port,
            user=ROOT,
            database=database,
            autocommit=True,
            connect_timeout=5,
        )
        with closing(connection), connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return list(cursor.fetchall())

    def create_database(self) -> Database:
        made = Database(self, f"test_{secrets.token_hex(6)}")
        self.ask(f"CREATE DATABASE {made.name}")
        self.ask(f"GRANT ALL ON {made.name}.* TO {APP}")
        return made


class Database(OwnDatabase[MariaServer]):
    """A database of one test, in which ``app`` may do all."""

    @property
    def url(self) -> str:
        """The address for its user, who is no superuser."""
        return f"mysql://{APP}@{HOST}:{self.server.port}/{self.name}"

    def connections(self) -> list[tuple[Any, ...]]:
        return self.server.ask(
            "SELECT id, command, info FROM information_schema.processlist WHERE db = %s", self.name
        )

    def end(self, number: int) -> None:
        try:
            self.server.ask("KILL %s", number)
        except pymysql.OperationalError as error:
            if error.args[0] != NO_SUCH_THREAD:
                raise

    def drop(self) -> None:
        self.server.ask(f"REVOKE ALL ON {self.name}.* FROM {APP}")
        self.server.ask(f"DROP DATABASE {self.name}")


@functools.cache
def template() -> Path:
    """Return a data directory to copy, which is made once in a process."""
    directory = Path(tempfile.mkdtemp(prefix="lq-install-"))
    atexit.register(shutil.rmtree, directory)
    give(directory)
    data = directory / "data"
    installer = shutil.which("mariadb-install-db")
    options = ("--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve")
    run(installer, "--no-defaults", f"--datadir={data}", *options, *SMALL, cwd=directory)
    statements = f"FLUSH PRIVILEGES;\nCREATE USER {APP};\n"
    run(
        *(binary(), "--no-defaults", "--bootstrap", f"--datadir={data}", *SMALL),
        input=statements,
        cwd=directory,
    )
    return data


@functools.cache
def binary() -> Path | None:
    """Return the server on the path, if there is one with what makes its data directories."""
    searched = os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin"  # where Debian has it
    found = shutil.which("mariadbd", path=searched)
    return Path(found) if found and shutil.which("mariadb-install-db") else None


def version() -> str:
    """Return its version: ``10.11``."""
    done = subprocess.run(
        [str(binary()), "--version"], capture_output=True, text=True, check=True, timeout=10
    )
    said = re.search(r"Ver (\d+\.\d+)[\d.]*-MariaDB", done.stdout)
    assert said is not None, done.stdout
    return said[1]
