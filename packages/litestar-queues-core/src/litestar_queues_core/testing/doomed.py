"""Code that is killed while it waits, on an event loop that goes on."""

from __future__ import annotations

import asyncio
import linecache
import sysconfig
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from pathlib import PurePath
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")

CLOSINGS = 100
STDLIB = tuple({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")})
INSTALLED = frozenset({"site-packages", "dist-packages"})


class SimulatedCrash(BaseException):
    """The end of a process, as its open ``with`` blocks see it."""


@dataclass(kw_only=True, slots=True)
class Place:
    """A line at which code waits.

    Attributes:
        file: Its file.
        line: Its number.
        source: Its text.
    """

    file: str
    line: int
    source: str


class Doomed:
    """A process that does not live to see the end of what it does.

    Everything that its code starts by ``create_task``, ``gather`` or a task group belongs to it:
    its points count too, and nothing of it goes on after the crash.

    Args:
        fatal: At which of its points it crashes, from 1; ``None`` lets its code end.
        unwind: Whether a :exc:`SimulatedCrash` is raised there, and the rest is cancelled,
            instead of never going on.

    Attributes:
        points: How many points it has come to.
        place: Where it crashed; ``None`` if its code has ended before.
        crashed: Whether it did.
        dead: Whether none of its code goes on any more.
        buried: Whether what waits in it is to be closed.
        main: The coroutine that it began with.
    """

    def __init__(self, fatal: int | None, *, unwind: bool) -> None:
        self.points: int = 0
        self.place: Place | None = None
        self.crashed: bool = False
        self.dead: bool = False
        self.buried: bool = False
        self.main: Coroutine[Any, Any, Any] | None = None
        self._fatal = fatal
        self._unwind = unwind
        self._tasks: list[asyncio.Task[Any]] = []
        self._over = asyncio.Event()
        self._first: asyncio.Task[Any] | None = None

    async def run(self, coroutine: Coroutine[Any, Any, T]) -> T | None:
        """Run *coroutine* until it has crashed, or has ended: then return what it has returned."""
        variables = copy_context()
        variables.run(_process.set, self)
        self.main = coroutine
        main: asyncio.Task[T] = variables.run(asyncio.create_task, coroutine)
        main.add_done_callback(lambda _: self._over.set())
        await self._over.wait()
        if self._unwind:
            if self._first is not None:
                await asyncio.wait([self._first])
            await self._end()
        self.dead = True
        return None if self.crashed else main.result()

    async def bury(self) -> None:
        """Close what was left as it stood, without a word."""
        self.dead = self.buried = True
        await self._end()

    async def _end(self) -> None:
        """Cancel what still runs, and see it end."""
        while running := [one for one in self._tasks if not one.done()]:
            for one in running:
                one.cancel()
            await asyncio.wait(running)
        for one in self._tasks:
            _hear(one)

    def adopt(self, coroutine: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Any]:
        """Return what runs *coroutine* as a part of this process."""
        return _Part(self, coroutine)

    def note(self, task: asyncio.Task[Any]) -> None:
        """Take note of an asyncio task that belongs to this process."""
        self._tasks.append(task)

    def crashes(self, coroutine: Coroutine[Any, Any, Any]) -> bool:
        """Note that *coroutine* has come to a point; return whether the process crashes there."""
        self.points += 1
        if self.points != self._fatal:
            return False
        self.place = _place_of(coroutine, self.main)
        self.crashed = True
        self.dead = not self._unwind
        self._first = asyncio.current_task()
        self._over.set()
        return True


class _Part(Coroutine[Any, Any, Any]):
    """A coroutine of a process, between its asyncio task and its code."""

    def __init__(self, process: Doomed, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._process = process
        self._coroutine = coroutine
        self._unwinding = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._coroutine, name)

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coroutine.__await__()

    def send(self, value: Any, /) -> Any:
        return self._go_on(self._coroutine.send, value)

    def throw(self, error: Any, value: Any = None, traceback: Any = None, /) -> Any:
        raised = value if isinstance(value, BaseException) else error
        if self._process.buried:
            _close(self._coroutine)
            raise raised
        return self._go_on(self._coroutine.throw, raised)

    def close(self) -> None:
        _close(self._coroutine)

    def _go_on(self, advance: Callable[..., object], value: object) -> object:
        """Go on to the next point; return what is waited for there."""
        process = self._process
        if process.dead:
            return _forever()
        if process.crashed and not self._unwinding:
            main = self._coroutine is process.main
            return self._unwind(SimulatedCrash() if main else asyncio.CancelledError())
        awaited = advance(value)
        if process.crashed or not process.crashes(self._coroutine):
            return awaited
        return _unheard(awaited) if process.dead else self._unwind(SimulatedCrash())

    def _unwind(self, error: BaseException) -> object:
        self._unwinding = True
        return self._coroutine.throw(error)


_process: ContextVar[Doomed | None] = ContextVar("doomed_process", default=None)


@contextmanager
def doomed_processes() -> Generator[None]:
    """Let the asyncio tasks that a process starts on the running loop belong to it."""
    loop = asyncio.get_running_loop()
    previous = loop.get_task_factory()
    make: Any = previous or _make_task

    def factory(loop: Any, coroutine: Any, **options: Any) -> Any:
        context = options.get("context")
        process = _process.get() if context is None else context.get(_process)
        if process is None:
            return make(loop, coroutine, **options)
        task = make(loop, process.adopt(coroutine), **options)
        process.note(task)
        return task

    loop.set_task_factory(factory)
    try:
        yield
    finally:
        loop.set_task_factory(previous)


def _make_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> Any:
    return asyncio.Task(coroutine, loop=loop, **options)


def _forever() -> object:
    """Return what a coroutine yields that waits for what never comes."""
    return next(iter(asyncio.get_running_loop().create_future().__await__()))


def _unheard(awaited: object) -> object:
    """Return what never comes, instead of *awaited*, whose error nobody is left to hear of."""
    listen = getattr(awaited, "add_done_callback", None)
    if listen is not None:
        listen(_hear)
    return _forever()


def _hear(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()


def _close(coroutine: Coroutine[Any, Any, Any]) -> None:
    """End *coroutine*, wherever it waits on its way out.

    Its own ``close`` would leave the asynchronous generators open that it is in.
    """
    for _ in range(CLOSINGS):
        try:
            _unheard(coroutine.throw(SimulatedCrash()))
        except BaseException:  # noqa: BLE001  (the dead have nothing to say)
            return


def _place_of(*coroutines: Coroutine[Any, Any, Any] | None) -> Place:
    """Return the innermost line that is not a library's in the first that has one."""
    chains = [list(_frames(one)) for one in coroutines]
    own = [[frame for frame in chain if _is_own(frame)] for chain in chains]
    frame = next(chain for chain in (*own, *chains) if chain)[-1]
    file, line = frame.f_code.co_filename, frame.f_lineno
    return Place(file=file, line=line, source=linecache.getline(file, line).strip())


def _frames(awaiting: Any) -> Iterator[FrameType]:
    """Yield the frames of *awaiting* and of what it awaits, outermost first."""
    while awaiting is not None:
        prefix = next((one for one in ("cr", "gi", "ag") if hasattr(awaiting, f"{one}_frame")), "")
        frame = getattr(awaiting, f"{prefix}_frame", None)
        if frame is not None:
            yield frame
        awaiting = getattr(awaiting, "gi_yieldfrom" if prefix == "gi" else f"{prefix}_await", None)


def _is_own(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    module = str(frame.f_globals.get("__name__", ""))
    return not (
        file.startswith((*STDLIB, "<frozen"))
        or INSTALLED.intersection(PurePath(file).parts)
        or module.startswith("litestar_queues")
    )
