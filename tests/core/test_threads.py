"""The worker's own threads, whatever runs in them."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from litestar_queues_core.executors.threads import Threads

SOON = 5.0


@pytest.fixture
async def threads() -> AsyncIterator[Threads]:
    """Two threads."""
    before = set(threading.enumerate())
    opened = Threads(2)
    yield opened
    opened.close()
    for one in set(threading.enumerate()) - before:
        if one.name.startswith("litestar-queues"):
            one.join(SOON)
            assert not one.is_alive()


def raising(error: BaseException) -> Callable[[], None]:
    def function() -> None:
        raise error

    return function


async def run(threads: Threads, function: Callable[[], Any]) -> Any:
    return await asyncio.wait_for(threads.run(function, lambda: None), SOON)


class Stubborn(Exception):
    """An error that does not even say what it is."""

    @property
    def __class__(self) -> type:  # type: ignore[override]
        raise RuntimeError("nobody knows")


@pytest.mark.parametrize(
    "error", [ValueError(), StopAsyncIteration(), SystemExit(3), asyncio.CancelledError()]
)
async def test_what_a_function_raises_is_its_callers(
    threads: Threads, error: BaseException
) -> None:
    answer = asyncio.create_task(_caught(threads, error))
    neighbours = [run(threads, lambda n=n: n) for n in range(20)]  # type: ignore[misc]

    assert await asyncio.gather(*neighbours) == list(range(20))
    assert await answer is error
    assert await run(threads, threading.get_ident) != threading.get_ident()


async def _caught(threads: Threads, error: BaseException) -> BaseException | None:
    try:
        await threads.run(raising(error), lambda: None)
    except BaseException as caught:  # noqa: BLE001  (whatever it is)
        return caught
    return None


class Ending(StopIteration):
    """One of the errors that a coroutine must not let through."""


@pytest.mark.parametrize(
    "kind", [StopIteration, Ending, GeneratorExit, KeyboardInterrupt, Stubborn]
)
async def test_what_cannot_be_raised_in_a_coroutine_comes_as_a_runtime_error(
    threads: Threads, kind: type[BaseException]
) -> None:
    error = kind()
    answer = asyncio.create_task(threads.run(raising(error), lambda: None))
    neighbours = [run(threads, lambda n=n: n) for n in range(20)]  # type: ignore[misc]

    assert await asyncio.gather(*neighbours) == list(range(20))
    with pytest.raises(RuntimeError, match=kind.__name__) as caught:
        await answer
    assert caught.value.__cause__ is error


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the next threads can be started: the last one stands for all that follow."""
    answers: list[bool] = [True]
    start = threading.Thread.start

    def start_or_not(self: threading.Thread) -> None:
        if not (answers.pop(0) if len(answers) > 1 else answers[0]):
            raise RuntimeError("can't start new thread")
        start(self)

    monkeypatch.setattr(threading.Thread, "start", start_or_not)
    return answers


async def test_without_any_thread_a_call_fails_and_says_why(
    threads: Threads, starts: list[bool]
) -> None:
    starts[:] = [False, True]

    with pytest.raises(RuntimeError, match="no thread could be started for it: can't start new"):
        await run(threads, lambda: 1)

    assert await run(threads, lambda: 2) == 2


async def test_a_call_waits_for_the_threads_that_there_are(
    threads: Threads, starts: list[bool]
) -> None:
    starts[:] = [True, False]
    go_on = threading.Event()
    blocking = asyncio.create_task(run(threads, lambda: go_on.wait(SOON)))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(run(threads, lambda: 2))
    await asyncio.sleep(0)

    assert not waiting.done()
    go_on.set()
    await blocking
    assert await waiting == 2


async def test_a_thread_that_could_not_be_started_is_started_later(
    threads: Threads, starts: list[bool]
) -> None:
    starts[:] = [True, False, True]
    both = threading.Barrier(2)

    def meet() -> int:
        return both.wait(SOON)

    first = asyncio.create_task(run(threads, meet))
    await asyncio.sleep(0)
    stuck = asyncio.create_task(run(threads, lambda: None))
    await asyncio.sleep(0)
    second = asyncio.create_task(run(threads, meet))

    assert sorted(await asyncio.gather(first, second)) == [0, 1]
    await stuck


async def test_never_more_threads_than_allowed(threads: Threads) -> None:
    names: set[str] = set()

    def name() -> None:
        names.add(threading.current_thread().name)

    await asyncio.gather(*(run(threads, name) for _ in range(50)))

    assert len(names) <= 2


async def test_an_idle_thread_keeps_nothing_alive(threads: Threads) -> None:
    class Big:
        pass

    big = Big()
    gone = threading.Event()
    weakref.finalize(big, gone.set)
    await run(threads, lambda big=big: None)  # type: ignore[misc]
    del big

    assert await asyncio.to_thread(gone.wait, SOON)
