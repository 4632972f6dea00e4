"""Several processes under one parent, told with real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from tests.core.processes import SOON, is_dead, until

from litestar_queues_core.worker.supervisor import how_it_ended, pause_after, place, watch_parent

PARENT = """
import logging, sys
from litestar_queues_core.worker import supervisor

logging.basicConfig(level="INFO", format="log %(message)s", stream=sys.stdout)
supervisor.AFTER_GRACE = 0.5
processes, grace, burst, *command = sys.argv[1:]
code = supervisor.run_supervised(
    [sys.executable, *command], processes=int(processes), grace=float(grace), burst=burst == "burst"
)
raise SystemExit(code)
"""

# Ends with the codes given, one per start; then says "started" and what it hears, until it is told
# to "leave" by one signal or "stay" whatever it hears.
CHILD = r"""
import os, pathlib, signal, sys
from litestar_queues_core.worker.supervisor import place, watch_parent

manner, *codes = sys.argv[1:]
starts = pathlib.Path(f"starts-{place()}")
with starts.open("a") as file:
    file.write("x")
turn = len(starts.read_text()) - 1

def say(*words):  # in one write, which others do not interrupt
    os.write(1, f"{' '.join(map(str, words))}\n".encode())

def hear(number, frame):
    say("heard", place(), signal.Signals(number).name)
    if manner == "leave" or number == signal.SIGINT:
        sys.exit(0)

for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, hear if manner != "stay" else signal.SIG_IGN)
watch_parent()
say("started", place(), os.getpid())
if turn < len(codes):
    os._exit(int(codes[turn]))
while True:
    signal.pause()
"""


class Family:
    """A supervisor and its children, by what they say."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []

    async def line(self) -> str:
        assert self.process.stdout is not None
        line = await asyncio.wait_for(self.process.stdout.readline(), SOON)
        assert line, f"the supervisor ended; before: {self.lines}"
        self.lines.append(line.decode().rstrip())
        return self.lines[-1]

    async def hear(self, beginning: str) -> list[str]:
        while not (line := await self.line()).startswith(beginning):
            pass
        return line.split()

    async def start(self) -> tuple[int, int]:
        """Return the place and the process id of the next child that starts."""
        _, number, pid = await self.hear("started")
        return int(number), int(pid)

    async def end(self) -> int:
        assert self.process.stdout is not None
        rest = await asyncio.wait_for(self.process.stdout.read(), SOON)
        self.lines += rest.decode().splitlines()
        return await asyncio.wait_for(self.process.wait(), SOON)

    def times(self, beginning: str) -> int:
        return sum(line.startswith(beginning) for line in self.lines)


@asynccontextmanager
async def family(
    folder: Path,
    *,
    manner: str = "leave",
    codes: tuple[int, ...] = (),
    processes: int = 1,
    grace: float = 10,
    burst: bool = False,
) -> AsyncIterator[Family]:
    child = folder / "child.py"
    child.write_text(CHILD)
    arguments = [processes, grace, "burst" if burst else "", child, manner, *codes]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PARENT,
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
        cwd=folder,
    )
    shown = Family(process)
    try:
        yield shown
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await asyncio.wait_for(process.communicate(), SOON)


async def test_a_signal_reaches_all_processes_and_the_supervisor_ends_after_them(
    tmp_path: Path,
) -> None:
    async with family(tmp_path, processes=2) as shown:
        children = dict([await shown.start(), await shown.start()])
        shown.process.send_signal(signal.SIGTERM)
        code = await shown.end()

        assert code == 0
        assert children.keys() == {1, 2}
        assert shown.times("heard 1 SIGTERM") == shown.times("heard 2 SIGTERM") == 1, shown.lines
        assert all(is_dead(pid) for pid in children.values())


async def test_a_killed_process_is_replaced_and_its_neighbour_goes_on(tmp_path: Path) -> None:
    async with family(tmp_path, processes=2) as shown:
        children = dict([await shown.start(), await shown.start()])
        os.kill(children[1], signal.SIGKILL)
        number, pid = await shown.start()
        alive = not is_dead(children[2])
        shown.process.send_signal(signal.SIGINT)
        code = await shown.end()

    assert (number, code) == (1, 0)
    assert pid != children[1]
    assert alive
    assert shown.times("log worker process 1 was killed by SIGKILL") == 1
    assert shown.times("started 2") == 1


async def test_a_process_that_ends_well_is_replaced(tmp_path: Path) -> None:
    async with family(tmp_path, codes=(0, 0)) as shown:
        for _ in range(3):
            await shown.start()
        shown.process.send_signal(signal.SIGTERM)

        assert await shown.end() == 0


async def test_crashes_are_replaced_too_also_with_the_code_for_wrong_settings_later_on(
    tmp_path: Path,
) -> None:
    async with family(tmp_path, codes=(1, 2)) as shown:
        for _ in range(3):
            await shown.start()
        shown.process.send_signal(signal.SIGTERM)

        assert await shown.end() == 0
        assert shown.times("log worker process 1 exited with code") == 2


@pytest.mark.parametrize("code", [2, 4], ids=["wrong settings", "a missing ability"])
async def test_what_cannot_work_ends_everything(tmp_path: Path, code: int) -> None:
    async with family(tmp_path, processes=2, codes=(code, code)) as shown:
        assert await shown.end() == code
        assert shown.times("started 1") <= 1
        assert shown.times("log worker process") >= 1


@pytest.mark.parametrize(("code", "ends"), [(0, 0), (1, 1), (7, 1)])
async def test_a_burst_starts_each_process_once(tmp_path: Path, code: int, ends: int) -> None:
    async with family(tmp_path, processes=2, codes=(code,), burst=True) as shown:
        assert await shown.end() == ends
        assert shown.times("started") == 2


async def test_a_second_signal_arrives_as_haste(tmp_path: Path) -> None:
    async with family(tmp_path, manner="wait") as shown:
        await shown.start()
        shown.process.send_signal(signal.SIGTERM)
        await shown.hear("heard 1 SIGTERM")
        shown.process.send_signal(signal.SIGTERM)
        await shown.hear("heard 1 SIGINT")

        assert await shown.end() == 0


async def test_a_process_that_does_not_stop_is_killed_after_its_grace(tmp_path: Path) -> None:
    async with family(tmp_path, manner="stay", grace=0.1) as shown:
        _, pid = await shown.start()
        shown.process.send_signal(signal.SIGTERM)

        assert await shown.end() == 1
        assert is_dead(pid)
        assert shown.times("log killing worker process with pid") == 1


async def test_processes_stop_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    async with family(tmp_path, processes=2) as shown:
        children = dict([await shown.start(), await shown.start()])
        shown.process.kill()
        await shown.end()

        assert shown.times("heard 1 SIGTERM") == shown.times("heard 2 SIGTERM") == 1, shown.lines
        await until(lambda: all(is_dead(pid) for pid in children.values()))


def test_the_pause_before_a_restart_grows_to_half_a_minute() -> None:
    assert [pause_after(crashes) for crashes in (1, 2, 3)] == [0.5, 1.0, 2.0]
    assert pause_after(100) == 30.0


def test_a_process_without_a_supervisor_has_no_place_and_watches_nobody() -> None:
    assert place() is None
    assert not watch_parent()


@pytest.mark.parametrize(
    ("code", "words"),
    [(3, "exited with code 3"), (-9, "was killed by SIGKILL"), (-77, "was killed by signal 77")],
)
def test_the_end_of_a_process_is_told_in_words(code: int, words: str) -> None:
    assert how_it_ended(code) == words
