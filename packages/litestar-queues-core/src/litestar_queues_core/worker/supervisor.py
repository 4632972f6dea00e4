"""Several worker processes under one parent, which replaces those that end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress

from litestar_queues_core.exits import UNABLE, WRONG
from litestar_queues_core.lifeline import watch
from litestar_queues_core.loop import rest_until

logger: logging.Logger = logging.getLogger("litestar_queues.supervisor")

PARENT = "LITESTAR_QUEUES_PARENT_FD"
NUMBER = "LITESTAR_QUEUES_PROCESS"

CANNOT_START = frozenset({WRONG, UNABLE})
"""Exit codes of a process whose settings or store cannot work: trying again would not help."""

STEADY = 60.0
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
AFTER_GRACE = 20.0


def run_supervised(
    command: Sequence[str], *, processes: int, grace: float, burst: bool = False
) -> int:
    """Keep so many processes of *command* running until told to stop; return an exit code.

    One that ends well (it has run ``max_jobs``, or holds ``max_memory``) is replaced at once, one
    that crashes after a pause that grows from half a second to half a minute.  If the first
    process of a place exits with code 2 or 4, its settings or its store cannot work and everything
    ends.

    The first SIGTERM or SIGINT is passed on as SIGTERM, further ones as SIGINT, which
    ``run_worker`` takes for haste.  Twenty seconds after *grace* what is left is killed.  The
    command calls :func:`watch_parent`, so that it stops too when this process is killed.  When
    this returns, no process is left.

    Args:
        command: Program and arguments; it finds the number of its place, from 1, in the
            environment variable ``LITESTAR_QUEUES_PROCESS``.
        processes: How many.
        grace: Seconds that running jobs have at shutdown.
        burst: Whether each process ends once nothing is left to do; then none is replaced.

    Returns:
        0 if all ended as they should, the code of the first that could not start, else 1.
    """
    supervisor = Supervisor(command, grace=grace, burst=burst)
    return asyncio.run(supervisor.run(processes))


class Watched:
    """Whether this process watches its parent."""

    now = False


def watch_parent() -> bool:
    """Stop, as by SIGTERM, when the supervisor of this process is gone; return whether it has one.

    Call it early; further calls only answer.
    """
    pipe = os.environ.pop(PARENT, None)
    if pipe is not None:
        watch(int(pipe), lambda: os.kill(os.getpid(), signal.SIGTERM))
        Watched.now = True
    return Watched.now


def place() -> int | None:
    """Return the number of this process among those of its supervisor, from 1."""
    number = os.environ.get(NUMBER)
    return int(number) if number is not None else None


def pause_after(crashes: int) -> float:
    """Return the seconds between so many crashes in a row and the next start."""
    return min(FIRST_PAUSE * 2.0 ** min(crashes - 1, 10), LONGEST_PAUSE)


class Supervisor:
    """Starts processes, replaces them, and ends them.

    Args:
        command: What they run.
        grace: Seconds they may take to stop.
        burst: Whether they end by themselves, for good.
    """

    def __init__(self, command: Sequence[str], *, grace: float, burst: bool = False) -> None:
        self._command = list(command)
        self._grace = grace
        self._burst = burst
        self._running: set[Process] = set()
        self._stopping = asyncio.Event()
        self._code = 0

    async def run(self, processes: int) -> int:
        """Keep so many processes running until told to stop; return the exit code."""
        self._inherited, lifeline = os.pipe()
        try:
            with self._heeding_signals():
                async with asyncio.TaskGroup() as places:
                    for number in range(1, processes + 1):
                        places.create_task(self._keep(number))
        finally:
            os.close(self._inherited)
            os.close(lifeline)
        return self._code

    def stop(self) -> None:
        """Ask all processes to stop; each further call asks for haste."""
        loop = asyncio.get_running_loop()
        first = not self._stopping.is_set()
        self._stopping.set()
        for process in self._running:
            _send(process, signal.SIGTERM if first else signal.SIGINT)
        loop.call_later((self._grace if first else 0.0) + AFTER_GRACE, self._kill)

    @contextmanager
    def _heeding_signals(self) -> Generator[None]:
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)
        for number in signals:
            loop.add_signal_handler(number, self.stop)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)

    async def _keep(self, number: int) -> None:
        """Have a process in one place until there is a reason to have none."""
        failures = 0
        first = True
        while not self._stopping.is_set():
            started = time.monotonic()
            code = await self._run_one(number)
            if not self._replaces(number, code, first=first):
                return
            first = False
            failures = 0 if code == 0 or time.monotonic() - started > STEADY else failures + 1
            if failures:
                await rest_until(self._stopping, pause_after(failures))

    async def _run_one(self, number: int) -> int:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=DEVNULL,
            pass_fds=(self._inherited,),
            start_new_session=True,
            env={**os.environ, PARENT: str(self._inherited), NUMBER: str(number)},
        )
        self._running.add(process)
        logger.info("worker process %d has pid %d", number, process.pid)
        if self._stopping.is_set():
            _send(process, signal.SIGTERM)
        try:
            return await process.wait()
        finally:
            self._running.discard(process)
            if process.returncode is None:
                process.kill()
                await process.wait()

    def _replaces(self, number: int, code: int, *, first: bool) -> bool:
        """Note how a process has ended; return whether another one takes its place."""
        if self._stopping.is_set():
            if code not in (0, -signal.SIGTERM, -signal.SIGINT):
                self._code = self._code or 1
            return False
        if code == 0:
            return not self._burst
        if code in CANNOT_START and first:
            logger.error("worker process %d cannot start; giving up", number)
            self._code = code
            self.stop()
            return False
        logger.error("worker process %d %s", number, how_it_ended(code))
        self._code = 1 if self._burst else self._code
        return not self._burst

    def _kill(self) -> None:
        for process in self._running:
            logger.error("killing worker process with pid %d, which does not stop", process.pid)
            _send(process, signal.SIGKILL)


def _send(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it has just ended
        process.send_signal(number)


def how_it_ended(code: int) -> str:
    """Return in words what the exit code of a process says, as :mod:`subprocess` gives it."""
    if code >= 0:
        return f"exited with code {code}"
    known = -code in set(signal.Signals)
    return f"was killed by {signal.Signals(-code).name if known else f'signal {-code}'}"
