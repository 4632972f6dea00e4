"""A private PostgreSQL server for the time of a measurement; those of the tests, but it syncs."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from tests.databases import postgres

WHERE = "the newest PostgreSQL there is here; name a directory of programs"


def program(given: str | None) -> str:
    """Return the directory of the server's programs: the one given, else the newest there is."""
    return given or str(postgres.newest())


def version(directory: str) -> str:
    """Return name and version of a server: ``PostgreSQL 18``."""
    return f"PostgreSQL {postgres.version(Path(directory))}"


@contextmanager
def server(directory: str) -> Iterator[str]:
    """Run a server with the settings it comes with, durable; give the URL of an empty database."""
    with (
        tempfile.TemporaryDirectory(prefix="lq-") as place,
        postgres.PostgresServer(Path(directory), Path(place, "server")) as running,
    ):
        yield running.create_database().url
