"""A certificate authority of our own, and servers that speak TLS."""

from __future__ import annotations

import asyncio
import re
import shutil
import ssl
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest
from tests.databases.program import HOST, ServerError, free_port
from tests.resp.servers import Server


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: Path
    key: Path

    @property
    def options(self) -> dict[str, str]:
        """The settings of a client that shows it."""
        return {"ssl_certfile": str(self.certificate), "ssl_keyfile": str(self.key)}


class Authority:
    """Signs certificates."""

    def __init__(self, directory: Path) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("certificates are made with openssl, which is not here")
        self._directory = directory
        self._own = self._make("authority", "-x509", "-days", "2")

    @property
    def certificate(self) -> Path:
        return self._own.certificate

    def sign(self, name: str, address: str) -> Pair:
        """Return a certificate for somebody at an IP address."""
        return self._make(
            *(name, "-x509", "-days", "2", "-addext", f"subjectAltName=IP:{address}"),
            *("-CA", str(self._own.certificate), "-CAkey", str(self._own.key)),
        )

    def _make(self, name: str, *options: str) -> Pair:
        pair = Pair(self._directory / f"{name}.pem", self._directory / f"{name}.key")
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        files = ("-out", str(pair.certificate), "-keyout", str(pair.key))
        command = ["openssl", "req", *curve, "-subj", f"/CN={name}", *files, *options]
        subprocess.run(command, check=True, capture_output=True, timeout=20)
        return pair


class TLSServer(Server):
    """A server that speaks TLS itself, at a port of its own: ``with TLSServer(...) as server``.

    Skips the test if the program was built without TLS.

    Args:
        binary: The program.
        directory: See :class:`Server`.
        own: What it shows.
        authority: Has signed what it shows, and what clients show.
        wants: Whether clients have to show something.
    """

    def __init__(
        self, binary: Path, directory: Path, own: Pair, authority: Path, *, wants: bool
    ) -> None:
        super().__init__(binary, directory)
        self._settings = {
            "tls-cert-file": own.certificate,
            "tls-key-file": own.key,
            "tls-ca-cert-file": authority,
            "tls-auth-clients": "yes" if wants else "no",
        }
        self.tls_port = 0

    def command(self) -> list[str]:
        self.tls_port = free_port()
        settings = {"tls-port": self.tls_port, **self._settings}
        named = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
        return [*super().command(), *named]

    def start(self, *, port: int = 0) -> None:
        try:
            super().start(port=port)
        except ServerError as error:
            if re.search(r"Failed finding TLS support|Bad directive", str(error)):
                pytest.skip(f"{self._binary.name} was built without TLS")
            raise


class TLS:
    """Decrypts what comes, and passes it on to a server: ``async with TLS(...) as port``.

    Args:
        port: Of the server.
        own: What it shows.
        authority: Who must have signed what clients show, if they have to show something.
    """

    def __init__(self, port: int, own: Pair, *, authority: Path | None = None) -> None:
        self._port = port
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(own.certificate, own.key)
        if authority is not None:
            self._context.load_verify_locations(authority)
            self._context.verify_mode = ssl.CERT_REQUIRED
        self._tasks = set[asyncio.Task[None]]()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, HOST, 0, ssl=self._context)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._connect(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(HOST, self._port)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass_on(reader, inner_writer))
                group.create_task(self._pass_on(inner_reader, writer))
        except* OSError:  # one side has ended it
            pass
        finally:
            for one in (writer, inner_writer):
                one.close()
                with suppress(OSError):
                    await one.wait_closed()

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            sink.write(data)
            await sink.drain()
        raise ConnectionResetError
