"""Server programs that tests run as an account they accept, and that do not outlive the tests."""

from __future__ import annotations

import functools
import os
import pwd
import random
import signal
import socket
import stat
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeVar

import psutil

HOST = "127.0.0.1"
PORTS = range(12_000, 22_000)  # no client gets one by chance, nor one that is 10,000 higher
PATIENCE = 30.0
TAKEN = "Address already in use"
GUARDED = 'exec 3<&0; (read _ <&3; kill -9 0) & exec 3<&-; exec "$@" </dev/null'
"""Runs a program in the shell's place; kills its process group once standard input ends."""

T = TypeVar("T")


class ServerError(Exception):
    """The server does not run, cannot, or has answered with an error."""


class Program(ABC):
    """A server process of our own: ``with Program(directory) as server``.

    It does not outlive the process that started it, however that one ends.

    Args:
        directory: For its data, socket and log; made if there is none.  Its path should be short:
            the one of a Unix socket may have a hundred characters.
        options: More words of its command line, which win.

    Attributes:
        port: Where it listens; 0 until it has been started.
        interrupt: The signal that stops it in an orderly way.
        refuses_root: Whether it runs as :func:`account` only, which then owns the directory.
    """

    interrupt = signal.SIGTERM
    refuses_root = True

    def __init__(self, directory: Path, *options: str) -> None:
        self.directory = directory
        self.port = 0
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)
        if self.refuses_root:
            give(directory)

    def prepare(self) -> None:  # noqa: B027  (not all have something to prepare)
        """Make what has to be there before a start."""

    @abstractmethod
    def command(self) -> list[str]:
        """Return the command line, but for the options."""

    @abstractmethod
    def answers(self) -> bool:
        """Return whether it answers, and is this server and no other; a blocking call."""

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self, *, port: int = 0) -> None:
        """Start it, and return once it answers; on a free port unless one is named."""
        self.prepare()
        end = time.monotonic() + PATIENCE
        while True:
            self.port = port or free_port()
            self._launch()
            try:
                return self._wait_until_it_answers(end)
            except BaseException as error:
                self.kill()
                if not isinstance(error, PortTaken) or time.monotonic() > end:
                    raise

    def restart(self, *options: str) -> None:
        """Start it again after its end: at the same port, with the same data."""
        self._options += options
        self.start(port=self.port)

    def stop(self) -> None:
        """Stop it in an orderly way and wait for its end; harmless if it is down."""
        self._end(self.interrupt)

    def kill(self) -> None:
        """End it and all its processes by SIGKILL, and wait for their end."""
        self._end(signal.SIGKILL)

    def log(self) -> str:
        """Return the end of its log."""
        return (self.directory / "log").read_text(errors="replace")[-2000:]

    def _launch(self) -> None:
        runner: dict[str, Any] = identity() if self.refuses_root else {}
        with (self.directory / "log").open("ab") as log:
            log.truncate(0)
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", GUARDED, "sh", *self.command(), *self._options],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env={**os.environ, "LC_ALL": "C"},
                process_group=0,
                **runner,
            )

    def _wait_until_it_answers(self, end: float) -> None:
        assert self._process is not None
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise PortTaken(self.port) if TAKEN in self.log() else ServerError(self.log())
            if self.answers():
                return
            time.sleep(0.02)
        raise ServerError(f"it does not answer: {self.log()}")

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        children = children_of(process.pid)
        try:
            until(lambda: ended(process, number))
        finally:
            with suppress(ProcessLookupError):  # its guard, too
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            assert process.stdin is not None
            process.stdin.close()
            end_all(children)


class PortTaken(ServerError):
    """Somebody else has this port."""


def ended(process: subprocess.Popen[bytes], number: signal.Signals) -> bool:
    """Ask a process to end: again, as Redis 6.2 may just be too busy to.  Return whether it has."""
    if process.poll() is None:
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(1.0)
    return process.poll() is not None


def children_of(pid: int) -> list[psutil.Process]:
    """Return the processes that a server has made."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []


def end_all(processes: Sequence[psutil.Process]) -> None:
    """Kill what is left of them, and wait for their end."""
    for one in processes:
        with suppress(psutil.NoSuchProcess):
            one.kill()
    until(lambda: not any(map(runs, processes)))


def runs(process: psutil.Process) -> bool:
    """Return whether it runs; one that nobody has waited for does not."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


@functools.cache
def account() -> pwd.struct_passwd | None:
    """Return the account that runs servers, as these refuse to be run by root; else none."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def identity() -> dict[str, Any]:
    """Return the arguments for a subprocess of that account."""
    found = account()
    return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []} if found else {}


def give(directory: Path) -> None:
    """Let the account that runs servers own a directory, and reach it.

    Below a directory that is everybody's (``/tmp``) it may pass through what is ours.

    Raises:
        ServerError: It cannot be reached; nothing above is changed.
    """
    found = account()
    if found is None:
        return
    os.chown(directory, found.pw_uid, found.pw_gid)
    closed = [one for one in directory.resolve().parents if not one.stat().st_mode & stat.S_IXOTH]
    for one in closed:
        if not any(above.stat().st_mode & stat.S_ISVTX for above in one.parents):
            raise ServerError(f"{found.pw_name} runs the server and cannot pass through {one}")
    for one in closed:
        one.chmod(one.stat().st_mode | stat.S_IXOTH)


def run(*words: object, **options: Any) -> None:
    """Run a program as the account that runs servers.

    Raises:
        ServerError: It failed; has what it said.
    """
    command = [str(word) for word in words]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, **identity(), **options
    )
    if done.returncode:
        raise ServerError(f"{command[0]}: {done.stdout}{done.stderr}")


def until(what: Callable[[], T], *, seconds: float = PATIENCE) -> T:
    """Look until there is something, and return it; a blocking call."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)
    return found


def free_port() -> int:
    """Return a port that nobody listens at."""
    while True:
        port = random.choice(PORTS)  # noqa: S311
        with suppress(OSError), socket.create_server((HOST, port)):
            return port
