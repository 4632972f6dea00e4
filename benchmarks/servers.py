"""A private Redis or Valkey server for the time of a measurement; those of the tests."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))

from tests.resp.servers import Server

WHERE = "redis-server or valkey-server on the path; name a program"


def program(given: str | None) -> str:
    """Return the server's program: the one given, else the first of both kinds on the path."""
    found = given or shutil.which("redis-server") or shutil.which("valkey-server")
    if found is None:
        sys.exit("no redis-server or valkey-server on the path; name one with --server")
    return found


def version(binary: str) -> str:
    """Return name and version of a server's program: ``Redis 7.0.15``."""
    told = subprocess.run([binary, "--version"], check=True, capture_output=True, text=True).stdout
    number = next(word for word in told.split() if word.startswith("v="))
    return f"{told.split()[0]} {number.removeprefix('v=')}"


@contextmanager
def server(binary: str) -> Iterator[str]:
    """Run an empty server with an append-only file, synced each second; give its URL."""
    each_second = ("--appendfsync", "everysec")
    with (
        tempfile.TemporaryDirectory(prefix="lq-") as place,
        Server(Path(binary), Path(place, "server"), *each_second) as running,
    ):
        yield running.url
