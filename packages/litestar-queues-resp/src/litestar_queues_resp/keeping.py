"""A blocking connection to the server that has the queue, for a thread."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from litestar_queues_resp.answers import needs_plain, plain
from litestar_queues_resp.client import Word
from litestar_queues_resp.endpoint import Endpoint
from litestar_queues_resp.errors import ELSEWHERE, code_of, translated
from litestar_queues_resp.library import BlockingConnection
from litestar_queues_resp.topology import CONNECT_SECONDS, SEARCH_SECONDS, Access, found_blocking


class KeptConnection:
    """A connection of the calling thread, connected when it is first used or after a failure."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._connection: BlockingConnection | None = None
        self._place = ", ".join(map(str, access.topology.endpoints()))

    def __enter__(self) -> KeptConnection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._drop()

    def call(self, *words: Word) -> Any:
        """Send one command and return its answer.

        Raises:
            QueueError: Like the call of a client.
        """
        try:
            if self._connection is None:
                self._connection = self._open()
            answer = self._exchange(self._connection, words)
        except self._access.library.refusal as error:
            if code_of(error) in ELSEWHERE:
                self._drop()
            raise translated(error, self._place) from error
        except BaseException as error:
            self._drop()
            if isinstance(error, Exception):
                raise translated(error, self._place) from error
            raise
        return plain(answer) if needs_plain(self._access.protocol, words) else answer

    def _exchange(self, connection: BlockingConnection, words: tuple[Word, ...]) -> Any:
        connection.send_packed_command([self._access.library.pack(words)])
        return connection.read_response(disable_decoding=True)

    def _open(self) -> BlockingConnection:
        endpoint = found_blocking(self._access.topology.primary(), self._ask)
        self._place = str(endpoint)
        return self._connected(endpoint, CONNECT_SECONDS)

    def _connected(self, endpoint: Endpoint, within: float) -> BlockingConnection:
        access = self._access
        connection = endpoint.blocking(access.library, access.protocol, within=within)
        try:
            connection.connect()
        except BaseException as error:
            connection.disconnect()
            if isinstance(error, Exception):
                raise access.unreachable(endpoint, error) from error
            raise
        access.met.add(str(endpoint))
        return connection

    def _ask(self, endpoint: Endpoint, words: tuple[Word, ...]) -> Any:
        """Ask a server something on a connection of its own."""
        connection = self._connected(endpoint, SEARCH_SECONDS)
        try:
            return plain(self._exchange(connection, words))
        except Exception as error:
            raise translated(error, str(endpoint)) from error
        finally:
            connection.disconnect()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()
