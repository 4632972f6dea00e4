"""Noticing that an event loop is blocked, and by what."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import sys
import threading
import time
import traceback

logger: logging.Logger = logging.getLogger("litestar_queues.worker")

BLOCKED = 1.0
STALLED = 70


class Watchdog:
    """Watches the loop it was made on from another thread.

    A loop silent for two seconds is reported once, with the line that blocks it.  One
    silent for *stall_limit* seconds is given up: the stacks of all threads are written to
    standard error, and then a process of the worker's own exits with code 70, while one that
    belongs to an application merely stops renewing its lease until the loop is back.

    Args:
        stall_limit: Seconds of silence after which the loop is given up.
        own_process: Whether the process exists for this worker alone.
    """

    def __init__(self, *, stall_limit: float, own_process: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._limit = stall_limit
        self._own_process = own_process
        self._asked: float | None = None
        self._reported = False
        self.alive: bool = True

    def look(self) -> None:
        """Look how long the loop has owed a sign of life, and ask for one."""
        silent = self._silent()
        if silent >= min(BLOCKED * 2, self._limit) and not self._reported:
            self._reported = True
            logger.warning("the event loop has been blocked for %.1f s by %s", silent, self._line())
        if silent >= self._limit and self.alive:
            self._give_up(silent)
        if self._asked is not None:
            return
        self._asked = time.monotonic()
        try:
            self._loop.call_soon_threadsafe(self._hear)
        except RuntimeError:
            self.alive = False

    def _silent(self) -> float:
        return 0.0 if self._asked is None else time.monotonic() - self._asked

    def _hear(self) -> None:
        if self._reported:
            logger.warning("the event loop is back after %.1f s", self._silent())
        self._asked = None
        self._reported = False
        self.alive = True

    def _line(self) -> str:
        frame = sys._current_frames().get(self._thread)  # pyright: ignore[reportPrivateUsage]
        if frame is None:
            return "an unknown line"
        last = traceback.extract_stack(frame)[-1]
        return f"{last.filename}:{last.lineno} in {last.name}: {last.line}"

    def _give_up(self, silent: float) -> None:
        self.alive = False
        logger.critical(
            "the event loop has been silent for %.0f s; blocked by %s", silent, self._line()
        )
        faulthandler.dump_traceback(all_threads=True)
        if self._own_process:
            os._exit(STALLED)
