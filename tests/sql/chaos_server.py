"""A store behind a TCP server that can be killed, so that every fault of a network can be had.

The server answers calls of a SQLite store; ``python chaos_server.py FILE PORT`` runs it.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litestar_queues_core.errors import QueueError, StoreUnavailable
from litestar_queues_sql import SQLiteBackendConfig

HOST = "127.0.0.1"


class RemoteStore:
    """Sends each call over a connection of its own."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address

    async def _call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        try:
            reader, writer = await asyncio.open_connection(*self._address)
            try:
                writer.write(pickle.dumps((name, args, kwargs)))
                writer.write_eof()
                answer = pickle.loads(await reader.read())  # noqa: S301  (our own)
            finally:
                writer.close()
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            raise StoreUnavailable(f"{type(error).__name__}: {error}") from error
        result, failure = answer
        if failure is not None:
            kind, texts, state = failure
            error = kind.__new__(kind, *texts)
            error.__dict__ |= state
            raise error
        return result

    async def enqueue(self, *args: Any, **kwargs: Any) -> Any:
        return await self._call("enqueue", *args, **kwargs)

    async def open_lease(self, *args: Any, **kwargs: Any) -> Any:
        return await self._call("open_lease", *args, **kwargs)

    async def exchange(self, *args: Any, **kwargs: Any) -> Any:
        return await self._call("exchange", *args, **kwargs)

    async def renew(self, *args: Any, **kwargs: Any) -> Any:
        return await self._call("renew", *args, **kwargs)

    async def close_lease(self, *args: Any, **kwargs: Any) -> Any:
        return await self._call("close_lease", *args, **kwargs)

    async def maintain(self, *args: Any, **kwargs: Any) -> Any:
        return await self._call("maintain", *args, **kwargs)

    async def get(self, *args: Any, **kwargs: Any) -> Any:
        return await self._call("get", *args, **kwargs)

    async def cancel(self, *args: Any, **kwargs: Any) -> Any:
        return await self._call("cancel", *args, **kwargs)


@dataclass
class RemoteConfig:
    address: tuple[str, int]

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[RemoteStore]:
        yield RemoteStore(self.address)


class RemoteTarget:
    """The server's port is chosen once, by whoever is the first to look for it."""

    def __init__(self, workspace: Path) -> None:
        self._file = workspace / "server.db"
        self._port = workspace / "port"
        self._through: tuple[str, int] | None = None
        self._server: subprocess.Popen[bytes] | None = None

    def address(self) -> tuple[str, int]:
        return HOST, int(self._port.read_text())

    def through(self, host: str, port: int) -> RemoteTarget:
        self._through = (host, port)
        return self

    def config(self, data: str) -> RemoteConfig:
        known = self._port.exists()
        return RemoteConfig(self._through or (self.address() if known else (HOST, 0)))

    def start(self) -> None:
        with socket.create_server((HOST, 0)) as free:
            self._port.write_text(str(free.getsockname()[1]))
        self.restart()

    def restart(self) -> None:
        command = [sys.executable, __file__, str(self._file), str(self.address()[1])]
        self._server = subprocess.Popen(command, process_group=0)
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with suppress(ConnectionRefusedError), socket.create_connection(self.address()):
                return
            time.sleep(0.02)
        raise AssertionError("the server does not start")

    def stop(self) -> None:
        if self._server is not None:
            self._server.terminate()
            self._server.wait()

    def kill(self) -> None:
        assert self._server is not None
        os.kill(self._server.pid, signal.SIGKILL)
        self._server.wait()


async def serve(file: str, port: int) -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)

    async with SQLiteBackendConfig(path=file).open() as store:

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError):
                request = await reader.read()
                if request:
                    name, args, kwargs = pickle.loads(request)  # noqa: S301  (our own)
                    result, failure = None, None
                    try:
                        result = await getattr(store, name)(*args, **kwargs)
                    except QueueError as error:
                        failure = (type(error), error.args, error.__dict__)
                    writer.write(pickle.dumps((result, failure)))
                    await writer.drain()
            writer.close()

        async with await asyncio.start_server(answer, HOST, port):
            await stopped.wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
