"""Noticing that the process which started this one is gone, however it ended.

The parent holds the writing end of a pipe and never writes to it; the system closes that end when
the parent ends, by SIGKILL too.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from collections.abc import Callable


def watch(pipe: int, act: Callable[[], None]) -> None:
    """Call *act*, on a thread of its own, once the parent is gone.

    Args:
        pipe: The reading end, inherited from the parent.
        act: What to do without a parent.
    """
    os.set_inheritable(pipe, False)
    threading.Thread(
        target=_wait, args=(pipe, act), name="litestar-queues-lifeline", daemon=True
    ).start()


def die_with_parent(pipe: int) -> None:
    """Let this process and the others of its process group be killed once the parent is gone.

    On Linux the kernel does it, whatever this process is busy with; elsewhere a thread, which
    has to wait while an extension holds the interpreter.

    Args:
        pipe: The reading end, inherited from the parent.
    """
    if sys.platform != "linux":
        watch(pipe, _kill_group)
        return
    import fcntl  # noqa: PLC0415  (not everywhere)

    os.set_inheritable(pipe, False)
    fcntl.fcntl(pipe, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(pipe, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([pipe], [], [], 0)[0]:  # it was gone before the kernel knew whom to tell
        _kill_group()


def _wait(pipe: int, act: Callable[[], None]) -> None:
    while os.read(pipe, 1):
        pass
    act()


def _kill_group() -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)
