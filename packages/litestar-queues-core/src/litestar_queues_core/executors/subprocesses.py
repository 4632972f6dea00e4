"""A child process, seen from the worker that owns it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
from asyncio import IncompleteReadError, StreamReader, StreamWriter
from asyncio.subprocess import DEVNULL, Process
from contextlib import suppress
from typing import Self

from litestar_queues_core.context import TaskExecutionContext
from litestar_queues_core.executors.messages import LENGTHS, SAID, Header, outcome_of, pack
from litestar_queues_core.outcome import DescribedError, Ending, Outcome

logger: logging.Logger = logging.getLogger("litestar_queues.worker")

LEAVING = 2.0
LAST_WORDS = 0.5

CODE = (
    "import sys; sys.path[:] = {path!r}; from litestar_queues_core.executors.child import main; "
    "main({channel}, {lifeline}, {log_level})"
)


class Child:
    """One process, which runs one attempt at a time.

    It leads a session of its own, so that what the terminal sends does not reach it, and what it
    has started can be killed with it.
    """

    def __init__(
        self, process: Process, reader: StreamReader, writer: StreamWriter, lifeline: int
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._lifeline = lifeline
        self._busy = True
        self._hanging_up: asyncio.TimerHandle | None = None
        self._end = asyncio.create_task(self._watch())

    @classmethod
    async def start(cls, timeout: float) -> Self:
        """Start a process and return once it is ready.

        Raises:
            DescribedError: It was not, within *timeout* seconds.
        """
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        inherited, lifeline = os.pipe()
        try:
            process = await _spawn(theirs.fileno(), inherited)
        except BaseException:
            writer.close()
            os.close(lifeline)
            raise
        finally:
            theirs.close()
            os.close(inherited)
        child = cls(process, reader, writer, lifeline)
        await child._be_ready(timeout)
        return child

    @property
    def alive(self) -> bool:
        """Whether it can run another attempt."""
        return not self._end.done() and not self._reader.at_eof()

    async def attempt(
        self, request: Header, payload: bytes, context: TaskExecutionContext
    ) -> Outcome:
        """Run one attempt; if anything interrupts this call, the process is dead afterwards."""
        self._busy = True
        try:
            return await self._converse(request, payload, context)
        except BaseException:
            await self.kill()
            raise
        finally:
            self._rest()

    async def close(self) -> None:
        """Let it end by itself, or kill it after two seconds."""
        self._writer.close()
        await asyncio.wait([self._end], timeout=LEAVING)
        await self.kill()

    async def kill(self) -> None:
        """Kill it with all it has started; return once it is dead, however often cancelled."""
        interrupted = False
        if not self._end.done():
            self._kill_group()
        while not self._end.done():
            try:
                await asyncio.wait([self._end])
            except asyncio.CancelledError:
                interrupted = True
        if interrupted:
            raise asyncio.CancelledError

    async def _be_ready(self, timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):
                ready = await self._receive()
        except TimeoutError:
            await self.kill()
            raise _error(f"no process was ready within {timeout:g} s (start_timeout)") from None
        except BaseException:
            await self.kill()
            raise
        finally:
            self._rest()
        if ready is None:
            raise await self._died("that was to run the attempt, while it started,")

    async def _converse(
        self, request: Header, payload: bytes, context: TaskExecutionContext
    ) -> Outcome:
        with suppress(ConnectionError):  # it has died, which receiving shows too
            self._writer.write(pack(request, payload))
            await self._writer.drain()
        while (message := await self._receive()) is not None:
            header, body = message
            if "ended" in header:
                return outcome_of(header, body)
            await _relay(context, header)
        return Outcome(
            ending=Ending.RAISED, error=await self._died("that ran the attempt"), traceback=""
        )

    async def _receive(self) -> tuple[Header, bytes] | None:
        try:
            head, body = LENGTHS.unpack(await self._reader.readexactly(LENGTHS.size))
            header = json.loads(await self._reader.readexactly(head))
            return header, await self._reader.readexactly(body)
        except (IncompleteReadError, ConnectionError):
            return None

    async def _died(self, what: str) -> DescribedError:
        await asyncio.wait([self._end], timeout=LEAVING)
        if not self._end.done():
            await self.kill()
            return _error(f"the process {what} closed its line to the worker, and was killed")
        return _error(f"the process {what} {_how(self._end.result())}")

    def _rest(self) -> None:
        self._busy = False
        if self._end.done():
            self._hang_up()

    async def _watch(self) -> int:
        """Wait for its end, then leave nothing behind."""
        code = await self._process.wait()
        self._kill_group()
        os.close(self._lifeline)
        if self._busy:
            # What it said last may be unread; whoever inherited its end may never close it.
            loop = asyncio.get_running_loop()
            self._hanging_up = loop.call_later(LAST_WORDS, self._hang_up)
        else:
            self._hang_up()
        return code

    def _hang_up(self) -> None:
        if self._hanging_up is not None:
            self._hanging_up.cancel()
        self._writer.transport.abort()

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError, PermissionError):  # nobody is left in it
            os.killpg(self._process.pid, signal.SIGKILL)


async def _spawn(channel: int, lifeline: int) -> Process:
    level = logging.root.level if logging.root.handlers else -1
    code = CODE.format(path=sys.path, channel=channel, lifeline=lifeline, log_level=level)
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-u",
        "-c",
        code,
        stdin=DEVNULL,
        pass_fds=(channel, lifeline),
        start_new_session=True,
    )


async def _relay(context: TaskExecutionContext, header: Header) -> None:
    """Let the attempt's context here say what its code has said there."""
    kind = header.get("said")
    if kind not in SAID:
        return
    try:
        await getattr(context, kind)(**header["content"])
    except Exception as error:  # noqa: BLE001  (strict delivery has noted it and fails the attempt)
        logger.warning("%r: its %s was not delivered: %r", context, kind, error)


def _how(code: int) -> str:
    if code >= 0:
        return f"exited with code {code}; code in a task must return or raise instead"
    number = -code
    named = number in set(signal.Signals)
    text = f"was killed by {signal.Signals(number).name if named else f'signal {number}'}"
    if number == signal.SIGKILL:
        text += "; if nobody did that, the system may have been out of memory"
    return text


def _error(message: str) -> DescribedError:
    return DescribedError(message, type="ProcessDied", retryable=True)
