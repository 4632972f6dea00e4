"""Tasks that run in processes, which import this module, for test_process_executor.py."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from litestar_queues_core import (
    Cancel,
    Discard,
    NonRetryableError,
    Retry,
    RetryPolicy,
    Snooze,
    TaskExecutionContext,
    get_current_task_context,
    task,
)
from litestar_queues_core.events import (
    publish_task_event,
    publish_task_log,
    publish_task_progress,
)

AT_ONCE = RetryPolicy(first=0, jitter=0)
PROCESS: Any = {"execution_backend": "process"}


spoken: list[int] = []


@dataclass
class Trip:
    place: str
    start: datetime


class SeatTakenError(Exception):
    pass


@task("crunch.add", **PROCESS)
def add(a: int, b: int = 10) -> int:
    return a + b


@task("crunch.async_add", **PROCESS)
async def async_add(a: int, b: int) -> int:
    return a + b


@task("crunch.delay", **PROCESS)
def delay(trip: Trip) -> Trip:
    return Trip(place=trip.place, start=trip.start.replace(hour=23))


@task("crunch.describe", retries=3, **PROCESS)
def describe(*, _job_id: str, _task_context: TaskExecutionContext) -> dict[str, Any]:
    found = get_current_task_context()
    return {
        "pid": os.getpid(),
        "main_thread": threading.current_thread() is threading.main_thread(),
        "same": found is _task_context and _job_id == found.id,
        "attempt": found.attempt,
        "delivery": found.delivery,
        "queue": found.queue,
        "worker": found.worker,
        "headers": dict(found.headers),
        "retries": found.job.new.spec.retries,
        "cancelled": found.is_cancelled,
    }


@task("crunch.announce", **PROCESS)
async def announce() -> str:
    await publish_task_progress(current=1, total=2, message="half")
    await publish_task_log("a line", level="warning", payload={"n": 1})
    await publish_task_event("app.custom", message="mine", payload={"at": datetime(2030, 1, 1)})
    return "said"


@task("crunch.announce_sync", **PROCESS)
def announce_sync(_task_context: TaskExecutionContext) -> str:
    _task_context.sync.progress(current=1, total=2, message="half")
    _task_context.sync.log("a line", level="warning", payload={"n": 1})
    _task_context.sync.event("app.custom", message="mine")
    return "said"


@task("crunch.control", retries=5, **PROCESS)
def control(which: str, _task_context: TaskExecutionContext) -> str:
    if _task_context.delivery > 1:
        return f"attempt {_task_context.attempt}"
    match which:
        case "retry":
            raise Retry("again please", after=0)
        case "snooze":
            raise Snooze(0)
        case "discard":
            raise Discard("no use")
        case _:
            raise Cancel


@task("crunch.fail", retries=1, retry_policy=AT_ONCE, **PROCESS)
def fail(message: str) -> None:
    raise SeatTakenError(message)


@task("crunch.not_retryable", retries=5, retry_policy=AT_ONCE, **PROCESS)
def not_retryable() -> None:
    raise NonRetryableError("never")


@task(
    "crunch.gives_up",
    retries=5,
    retry_policy=RetryPolicy(first=0, jitter=0, give_up_on=SeatTakenError),
    **PROCESS,
)
def gives_up() -> None:
    raise SeatTakenError("for good")


@task(
    "crunch.retries_on",
    retries=5,
    retry_policy=RetryPolicy(first=0, jitter=0, retry_on=SeatTakenError),
    **PROCESS,
)
def retries_on(_task_context: TaskExecutionContext) -> None:
    raise SeatTakenError if _task_context.attempt == 1 else ValueError("another kind")


@task("crunch.unspeakable", **PROCESS)
def unspeakable() -> None:
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    raise Unspeakable


@task("crunch.opaque", retries=5, **PROCESS)
def opaque() -> object:
    return object()


@task("crunch.large", **PROCESS)
def large(text: str) -> str:
    return text * 2


@task("crunch.leave", **PROCESS)
def leave() -> None:
    sys.exit(3)


@task("crunch.die", retries=1, retry_policy=AT_ONCE, **PROCESS)
def die(how: str, _task_context: TaskExecutionContext) -> str:
    if _task_context.attempt > 1:
        return "survived"
    if how == "exit":
        os._exit(7)
    os.kill(os.getpid(), getattr(signal, how))
    return "not reached"


@task("crunch.hang", **PROCESS)
def hang(_task_context: TaskExecutionContext) -> None:
    """Run for ever, with a program that does too."""
    program = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    _task_context.sync.progress(current=os.getpid(), total=program.pid, message="hanging")
    signal.pause()


@task("crunch.stubborn", **PROCESS)
def stubborn(_task_context: TaskExecutionContext) -> None:
    """Run for ever without letting any other thread of the process run."""
    _task_context.sync.progress(current=os.getpid(), message="hanging")
    re.match(r"(a+)+$", "a" * 60 + "b")


@task("crunch.leave_thread", **PROCESS)
def leave_thread(_task_context: TaskExecutionContext) -> str:
    """Return, but leave a thread that goes on speaking."""

    def speak() -> None:
        while True:
            _task_context.sync.log("from a thread")
            spoken.append(1)
            time.sleep(0.001)

    threading.Thread(target=speak, daemon=True).start()
    return "returned"


@task("crunch.listen", timeout=10, **PROCESS)
def listen() -> int:
    """Return once the thread which another attempt has left has spoken again."""
    before = len(spoken)
    while len(spoken) < before + 3:
        time.sleep(0.001)
    return len(spoken)


@task("crunch.enqueue", **PROCESS)
async def enqueue_more() -> None:
    await add.enqueue(1, 2)


@task("crunch.fork", **PROCESS)
def fork(_task_context: TaskExecutionContext) -> None:
    """Die, but leave a fork in a session of its own, which holds all that it has inherited."""
    pid = os.fork()
    if pid == 0:
        os.setsid()
        signal.pause()
    _task_context.sync.progress(current=os.getpid(), total=pid, message="hanging")
    os._exit(9)
