"""The worker's own threads, for sync tasks."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")

logger = logging.getLogger("litestar_queues.worker")

Call = Callable[[], object]
Work = tuple[list[Call], "asyncio.Future[object]"]
"""A function, for whoever pops it first: the thread that runs it, or the caller that gave up."""
Done = tuple["asyncio.Future[object]", object, BaseException | None]
ODD = (StopIteration, GeneratorExit, KeyboardInterrupt)
"""What means something else in a coroutine than that its code has failed."""


class Threads:
    """Runs functions in at most *size* daemon threads, which are started as they are needed.

    Results return in batches: however many functions end at once, the loop is woken once.  A
    daemon thread does not keep a process alive; what it does is cut off with the process.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._loop = asyncio.get_running_loop()
        self._work: SimpleQueue[Work | None] = SimpleQueue()
        self._done: deque[Done] = deque()
        self._posted = False
        self._started = 0
        self._busy = 0

    async def run(self, function: Callable[[], T], on_stop: Callable[[], None]) -> T:
        """Run *function* in a thread and return what it returns.

        A thread cannot be stopped: if this call is cancelled, *on_stop* is called, and the call
        goes on until the function has returned or raised, whose result it then is.  A function
        that no thread has begun yet is never begun.

        Raises:
            asyncio.CancelledError: The call was cancelled before a thread was free.
            RuntimeError: There is no thread, and none can be started; or the function raised
                something that means something else in a coroutine, which is then its cause.
        """
        answer: asyncio.Future[object] = self._loop.create_future()
        unbegun: list[Call] = [function]
        self._busy += 1
        try:
            if self._busy > self._started < self._size:
                self._start()
            self._work.put((unbegun, answer))
            return await self._settle(unbegun, answer, on_stop)  # type: ignore[return-value]
        finally:
            self._busy -= 1

    def _start(self) -> None:
        name = f"litestar-queues-{self._started + 1}"
        try:
            threading.Thread(target=self._serve, name=name, daemon=True).start()
        except RuntimeError as error:
            if not self._started:
                raise RuntimeError(f"no thread could be started for it: {error}") from error
            logger.warning("%s; the work waits for one of %d threads", error, self._started)
        else:
            self._started += 1

    async def _settle(
        self, unbegun: list[Call], answer: asyncio.Future[object], on_stop: Callable[[], None]
    ) -> object:
        while not answer.done():
            try:
                await asyncio.wait([answer])
            except asyncio.CancelledError:
                if _taken(unbegun):
                    raise
                on_stop()
        return answer.result()

    def close(self) -> None:
        """Let idle threads end; busy ones end after their function."""
        for _ in range(self._started):
            self._work.put(None)

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            self._call(*work)
            del work  # it must not live until there is more

    def _call(self, unbegun: list[Call], answer: asyncio.Future[object]) -> None:
        function = _taken(unbegun)
        if function is None:
            return
        try:
            self._post((answer, function(), None))
        except BaseException as error:  # noqa: BLE001  (it is the caller's)
            self._post((answer, None, error))

    def _post(self, done: Done) -> None:
        self._done.append(done)
        if self._posted:
            return
        self._posted = True
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        self._posted = False
        while self._done:
            answer, value, error = self._done.popleft()
            if answer.done():
                continue
            if error is None:
                answer.set_result(value)
            else:
                _fail(answer, error)


def _fail(answer: asyncio.Future[object], error: BaseException) -> None:
    """Let the caller have *error*, or what stands for it in a coroutine."""
    with suppress(Exception):  # some exceptions cannot even be asked what they are
        if not isinstance(error, ODD):
            answer.set_exception(error)
            return
    stand_in = RuntimeError(f"the function raised {type(error).__name__}")
    stand_in.__cause__ = error
    answer.set_exception(stand_in)


def _taken(unbegun: list[Call]) -> Call | None:
    """Take the function, unless the other side has; popping is atomic."""
    try:
        return unbegun.pop()
    except IndexError:
        return None
