"""Child processes that can be killed, and that leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).parent


class Process:
    """A Python process with a process group of its own, and its output in a file.

    Args:
        title: What people call it.
        arguments: What follows ``python -m``.
        log: Where its output goes.
        variables: Its environment has these too.
    """

    def __init__(
        self, title: str, arguments: Sequence[str], *, log: Path, variables: Mapping[str, str]
    ) -> None:
        self.title = title
        self.log = log
        with log.open("wb") as output:
            self._child = subprocess.Popen(  # noqa: S603  (our own command)
                [sys.executable, "-m", *arguments],
                cwd=HERE,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches the demo alone, which then ends the rest
            )

    @property
    def pid(self) -> int:
        """Id of the process, and of its group."""
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended: 0 or more by itself, below 0 by that signal."""
        return self._child.poll()

    def output(self) -> str:
        """Return what it has printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        """End it and whatever it has started, with SIGKILL."""
        self._signal_group(signal.SIGKILL)
        self._child.wait()

    def stop(self, patience: float) -> bool:
        """Ask it to stop, with SIGTERM; return whether it did so in time."""
        self._child.terminate()
        try:
            self._child.wait(patience)
        except subprocess.TimeoutExpired:
            return False
        return True

    def gone(self, patience: float = 2.0) -> bool:
        """Return whether nothing of it is left, nor of what it has started."""
        deadline = time.monotonic() + patience
        while self._signal_group(0):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def _signal_group(self, number: int) -> bool:
        """Signal the group; return whether there still is one."""
        self._child.poll()
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):  # macOS says the latter of zombies
            return False
        return True
