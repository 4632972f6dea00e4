"""What a task in a child process sees in place of what only its worker has."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from litestar_queues_core.context import TaskExecutionContext
from litestar_queues_core.errors import NoServiceError, TransactionError
from litestar_queues_core.executors.messages import LENGTHS, Header, pack
from litestar_queues_core.model import Event, Job

if TYPE_CHECKING:
    from litestar_queues_core.task import Task

T = TypeVar("T")

NO_SERVICE = (
    "a task in a process of its own has no queue service, and so no {}; return what the worker "
    "should know, or run the task with execution_backend='local'"
)


class Channel:
    """The child's end of the line to its worker: blocking, and any thread may send.

    Args:
        connection: A stream socket; closing the channel closes it.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._source = connection.makefile("rb")
        self._lock = threading.Lock()

    def send(self, header: Header, body: bytes = b"") -> None:
        """Say something."""
        with self._lock:
            self._connection.sendall(pack(header, body))

    def receive(self) -> tuple[Header, bytes] | None:
        """Return what the worker says next; ``None`` once it wants this process to end."""
        lengths = self._source.read(LENGTHS.size)
        if len(lengths) < LENGTHS.size:
            return None
        head, body = LENGTHS.unpack(lengths)
        return json.loads(self._source.read(head)), self._source.read(body)

    def close(self) -> None:
        """Hang up."""
        self._source.close()
        self._connection.close()


class AbsentService:
    """Stands where the queue service would be, and says that there is none.

    Attributes:
        loop: No event loop is its own.
    """

    loop = None

    @property
    def sync(self) -> AbsentService:
        """The blocking form, which the blocking form of a context asks for."""
        return self

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run *work*, which never waits for anything, and return what it returns."""
        try:
            work.send(None)
        except StopIteration as end:
            result: T = end.value
            return result
        work.close()
        raise NoServiceError(NO_SERVICE.format("event loop"))

    def __getattr__(self, name: str) -> NoReturn:
        raise NoServiceError(NO_SERVICE.format(f"{name!r}"))


class ForwardingContext(TaskExecutionContext):
    """The context of an attempt in a child process: what its code says goes to the worker.

    ``is_cancelled`` stays false, because an attempt that should stop is killed; ``state`` is
    ``None``.
    """

    __slots__ = ("_channel", "_ended", "_lock")

    def __init__(
        self, job: Job, definition: Task[..., Any], *, worker: str, channel: Channel
    ) -> None:
        service: Any = AbsentService()
        super().__init__(job, definition, worker=worker, service=service, reporter=_Nobody())
        self._channel = channel
        self._ended = False
        self._lock = threading.Lock()

    async def progress(
        self,
        current: float | None = None,
        total: float | None = None,
        message: str | None = None,
        payload: Mapping[str, object] | None = None,
    ) -> None:
        """Say how far the job has come; kept on its record and published."""
        self._say("progress", current=current, total=total, message=message, payload=payload)

    async def log(
        self, message: str, level: str = "info", payload: Mapping[str, object] | None = None
    ) -> None:
        """Publish a line about this attempt."""
        self._say("log", message=message, level=level, payload=payload)

    async def event(
        self,
        type: str,  # noqa: A002  (the field's name in the event contract)
        message: str | None = None,
        payload: Mapping[str, object] | None = None,
    ) -> None:
        """Publish an event of the task's own."""
        self._say("event", type=type, message=message, payload=payload)

    def end(self) -> None:
        """Let threads that the attempt has left behind say nothing more in its name."""
        with self._lock:
            self._ended = True

    def _say(self, kind: str, **content: object) -> None:
        with self._lock:
            if not self._ended:
                self._channel.send({"said": kind, "content": content})


class _Nobody:
    """Carries nothing: a forwarding context speaks for itself."""

    enabled = False

    def now_ms(self) -> int:
        return 0

    def progress(self, context: TaskExecutionContext, value: bytes) -> None:
        raise NotImplementedError

    async def publish(self, context: TaskExecutionContext, event: Event) -> None:
        raise NotImplementedError

    def transaction(self, context: TaskExecutionContext) -> AbstractAsyncContextManager[Any]:
        raise TransactionError(NO_SERVICE.format("transaction"))
