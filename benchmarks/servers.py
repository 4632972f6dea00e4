"""A private Redis or Valkey server for the time of a measurement."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WHERE = "redis-server or valkey-server on the path; name a program"
SETTINGS = ("--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--appendfsync", "everysec")


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
    with tempfile.TemporaryDirectory() as directory:
        port = _free_port()
        command = [binary, "--port", str(port), "--dir", directory, *SETTINGS]
        with Path(directory, "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _wait_until_ready(process, port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()
            process.wait(timeout=30)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                if connection.recv(64).startswith(b"+PONG"):
                    return
        except ConnectionError:
            pass  # it does not listen yet
        time.sleep(0.01)
    raise RuntimeError(f"the server does not answer on port {port}")
