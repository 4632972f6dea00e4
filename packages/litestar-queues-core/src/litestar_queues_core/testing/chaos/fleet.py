"""The processes of a run: each place is taken again, a moment after its process has ended."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from litestar_queues_core.loop import rest_until
from litestar_queues_core.testing.chaos.child import LIFELINE, TELL

MODULES = __package__ or ""
STOP_SECONDS = 45.0
TELL_SECONDS = 1.0


@dataclass(slots=True)
class Death:
    """The end of a process.

    Attributes:
        moment: When, by the monotonic clock.
        code: Its exit code; a signal that ended it is negative.
        wanted: Whether it was killed or told to stop by the run.
        late: What it was, if it was told to stop and had to be killed in the end.
    """

    moment: float
    code: int
    wanted: bool
    late: str = ""


@dataclass(slots=True, eq=False)
class Seat:
    """A place for one process after another.

    Attributes:
        role: ``worker`` or ``producer``.
        process: The one that runs now.
        expected: Whether the run has ended it on purpose.
        closing: Whether it is to stop, and to be replaced no more.
    """

    role: str
    name: str
    rng: random.Random
    process: Process | None = None
    expected: bool = False
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def pid(self) -> int | None:
        """The process that runs now."""
        running = self.process is not None and self.process.returncode is None
        return self.process.pid if running and self.process is not None else None

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process, if one runs."""
        if self.pid is not None:
            self.expected |= number in (signal.SIGKILL, signal.SIGTERM)
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


class Fleet:
    """Keeps processes running, each in a process group of its own, until it is closed.

    Args:
        workspace: Of the run.
        seed: Of the run.

    Attributes:
        deaths: How processes have ended, by process id.
    """

    def __init__(self, workspace: Path, seed: int) -> None:
        self.deaths: dict[int, Death] = {}
        self._workspace = workspace
        self._seed = seed
        self._seats: dict[Seat, asyncio.Task[None]] = {}
        (workspace / "logs").mkdir()

    def staff(self, role: str, number: int) -> None:
        """Begin to run so many processes of a role."""
        for name in (f"{role}-{one}" for one in range(1, number + 1)):
            seat = Seat(role, name, random.Random(f"{self._seed}/{name}"))  # noqa: S311
            self._seats[seat] = asyncio.create_task(self._keep(seat), name=name)

    def seats(self, role: str | None = None) -> Iterator[Seat]:
        """Give the places in which a process runs."""
        for seat in self._seats:
            if role in (None, seat.role) and seat.pid is not None:
                yield seat

    async def dismiss(self, role: str) -> None:
        """Tell the processes of a role to stop, wait for them, and replace them no more."""
        tasks = [task for seat, task in self._seats.items() if seat.role == role]
        for seat in self._seats:
            if seat.role == role:
                seat.closing.set()
                seat.send(signal.SIGCONT)
                seat.send(signal.SIGTERM)
        await asyncio.wait(tasks, timeout=STOP_SECONDS)
        late = [*self.seats(role)]
        for seat in late:
            seat.send(TELL)
        await asyncio.wait(tasks, timeout=TELL_SECONDS if late else 0.0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def check(self) -> None:
        """Raise what has gone wrong in keeping the places taken."""
        for task in self._seats.values():
            if task.done() and not task.cancelled():
                task.result()

    async def close(self) -> None:
        """Kill what is left."""
        for task in self._seats.values():
            task.cancel()
        await asyncio.gather(*self._seats.values(), return_exceptions=True)

    async def _keep(self, seat: Seat) -> None:
        while not seat.closing.is_set():
            lifeline, held = os.pipe()  # each its own: the kernel knows one owner of each
            try:
                await self._spawn(seat, lifeline)
                if seat.closing.is_set():  # told before it was there
                    seat.send(signal.SIGTERM)
                await self._see_it_end(seat)
            finally:
                os.close(lifeline)
                os.close(held)
            await rest_until(seat.closing, seat.rng.uniform(0.1, 1.0))

    async def _spawn(self, seat: Seat, lifeline: int) -> None:
        with (self._workspace / "logs" / f"{seat.name}.log").open("ab") as log:
            seat.expected = False
            seat.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", f"{MODULES}.{seat.role}"),
                *(str(self._workspace), str(seat.rng.getrandbits(32))),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
                pass_fds=(lifeline,),
                env={**os.environ, LIFELINE: str(lifeline)},
            )

    async def _see_it_end(self, seat: Seat) -> None:
        """Wait for the end of a process; if that is cancelled, kill it first."""
        process, late = seat.process, ""
        assert process is not None
        try:
            await process.wait()
        except asyncio.CancelledError:
            late = seat.name if seat.closing.is_set() else ""
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            raise
        finally:
            code = process.returncode or 0
            self.deaths[process.pid] = Death(time.monotonic(), code, seat.expected, late)
