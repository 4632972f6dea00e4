"""Private servers of MariaDB or MySQL that tests start and kill, where there is one on the path."""

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
SMALL = {
    "mariadb": ("--innodb-log-file-size=16M", "--innodb-buffer-pool-size=128M"),
    "mysql": (
        *("--innodb-redo-log-capacity=32M", "--innodb-buffer-pool-size=128M"),
        *("--max-allowed-packet=16M", "--mysqlx=OFF", "--secure-file-priv=NULL"),
    ),
}
HARMLESS = (
    "--innodb-flush-log-at-trx-commit=0",
    "--skip-innodb-doublewrite",
    "--sync-binlog=0",
)
"""Options for servers that nobody kills: nothing waits for a disk."""


class MariaServer(DatabaseServer["Database"]):
    """A server of our own, of MariaDB or MySQL: ``with MariaServer(directory) as server``.

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
            "tmpdir": self.directory,  # that of the tests may be closed to it
        }
        named = [f"--{name}={value}" for name, value in settings.items()]
        return [*_program(), "--skip-name-resolve", *named]

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
    (_install_mysql if kind() == "mysql" else _install_mariadb)(data)
    return data


def _install_mariadb(data: Path) -> None:
    installer = shutil.which("mariadb-install-db")
    options = ("--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve")
    small = (*SMALL["mariadb"], f"--tmpdir={data.parent}")
    run(installer, "--no-defaults", f"--datadir={data}", *options, *small, cwd=data.parent)
    statements = f"FLUSH PRIVILEGES;\nCREATE USER {APP};\n"
    options = ("--bootstrap", f"--datadir={data}", f"--tmpdir={data.parent}")
    run(*_program(), *options, input=statements, cwd=data.parent)


def _install_mysql(data: Path) -> None:
    statements = data.with_name("users")
    anywhere = f"CREATE USER {ROOT};\nGRANT ALL ON *.* TO {ROOT} WITH GRANT OPTION;\n"
    statements.write_text(f"{anywhere}CREATE USER {APP};\n")
    options = (f"--init-file={statements}", f"--datadir={data}", f"--tmpdir={data.parent}")
    run(*_program(), "--initialize-insecure", *options, cwd=data.parent)


def _program() -> list[str]:
    return [str(binary()), "--no-defaults", *SMALL[kind()]]


@functools.cache
def binary() -> Path | None:
    """Return the first server on the path: a MariaDB that can be installed, or a MySQL."""
    searched = os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin"  # where Debian has it
    for folder in searched.split(os.pathsep):
        mariadb, mysql = (shutil.which(name, path=folder) for name in ("mariadbd", "mysqld"))
        if mariadb and shutil.which("mariadb-install-db"):
            return Path(mariadb)
        if mysql and Path(mysql).resolve().name == "mysqld":  # else it is MariaDB by its old name
            return Path(mysql).resolve()  # it looks for its messages beside itself
    return None


def kind() -> str:
    """Return which of both it is: ``mariadb`` or ``mysql``."""
    found = binary()
    assert found is not None
    return "mysql" if found.name == "mysqld" else "mariadb"


def version() -> str:
    """Return its version: ``10.11``."""
    done = subprocess.run(
        [str(binary()), "--version"], capture_output=True, text=True, check=True, timeout=10
    )
    said = re.search(r"Ver (\d+\.\d+)", done.stdout)
    assert said is not None, done.stdout
    return said[1]
