"""Chaos targets: servers that sync each write, and forget their scripts every second."""

from __future__ import annotations

import threading
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from tests.databases.program import HOST, ServerError
from tests.resp.servers import Server, redis6_binary, valkey_binary

from litestar_queues_core.model import Retention
from litestar_queues_core.protocols import BackendConfig

FORGETS = 1.0


class Target:
    """Whoever starts the server writes its port where the other processes find it."""

    adapter: str
    binary: Path

    def __init__(self, workspace: Path) -> None:
        self._file = workspace / "port"
        self._through: tuple[str, int] | None = None
        self._server = Server(self.binary, workspace / "server")
        self._over = threading.Event()
        self._flusher = threading.Thread(target=self._flush)

    def address(self) -> tuple[str, int]:
        return HOST, int(self._file.read_text()) if self._file.exists() else 1

    def through(self, host: str, port: int) -> Target:
        self._through = (host, port)
        return self

    def config(self, data: str) -> BackendConfig:
        host, port = self._through or self.address()
        module, name = self.adapter.split(":")  # only the one that is used: processes start often
        make = getattr(import_module(module), name)
        backend: BackendConfig = make(
            url=f"redis://{host}:{port}/0", prefix=data, retention=Retention()
        )
        return backend

    def start(self) -> None:
        self._server.start()
        self._file.write_text(str(self._server.port))
        self._flusher.start()

    def stop(self) -> None:
        self._over.set()
        if self._flusher.ident is not None:
            self._flusher.join()
        self._server.stop()

    def kill(self) -> None:
        self._server.kill()

    def restart(self) -> None:
        self._server.restart()

    def _flush(self) -> None:
        while not self._over.wait(FORGETS):
            with suppress(OSError, ServerError):  # it is down, or loads
                self._server.ask("SCRIPT", "FLUSH")


class ValkeyTarget(Target):
    adapter = "litestar_queues_valkey:ValkeyBackendConfig"
    binary = valkey_binary()


class RedisTarget(Target):
    """The oldest server, with the other client."""

    adapter = "litestar_queues_redis:RedisBackendConfig"
    binary = redis6_binary()
