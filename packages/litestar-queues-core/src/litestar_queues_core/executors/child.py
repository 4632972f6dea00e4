"""What runs in a child process: one attempt after the other, until its worker is gone."""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import Any

from litestar_queues_core.current import bound_service
from litestar_queues_core.discovery import import_task_modules
from litestar_queues_core.errors import PayloadError, TaskError, TaskModuleError
from litestar_queues_core.executors.forwarding import Channel, ForwardingContext
from litestar_queues_core.executors.messages import Header, job_of, outcome_facts
from litestar_queues_core.lifeline import die_with_parent
from litestar_queues_core.logs import log_plainly
from litestar_queues_core.outcome import Ending, Outcome
from litestar_queues_core.registry import default_registry
from litestar_queues_core.requests import decode_arguments, encode_result
from litestar_queues_core.serializer import JsonSerializer
from litestar_queues_core.task import Task

MAIN = "__main__"
COPY_OF_MAIN = "__mp_main__"

serializer: JsonSerializer = JsonSerializer()


class Importing:
    """Whether this process is a child that is importing the modules of tasks."""

    now = False


class NotDefinedHere(TaskError, LookupError):
    """The modules that should define a task were imported, and do not."""

    def __init__(self, name: str, modules: Sequence[str]) -> None:
        super().__init__(
            f"a process of its own cannot find the task {name!r} after importing "
            f"{', '.join(modules) or 'the script'}: define it at the top level of a module, and "
            f"name that module in QueueConfig.task_modules"
        )


def main(channel: int, lifeline: int, log_level: int) -> None:
    """Serve a worker.

    Args:
        channel: File descriptor of the socket on which it asks for attempts.
        lifeline: File descriptor of a pipe whose other end it holds while it lives.
        log_level: From which level on it logs; negative if it does not say how it logs.
    """
    if log_level >= 0:
        log_plainly(log_level)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _ignore)
    die_with_parent(lifeline)
    line = Channel(socket.socket(fileno=channel))
    line.send({"ready": os.getpid()})
    while (request := line.receive()) is not None:
        facts, result = attempt(*request, line)
        line.send(facts, result)
    line.close()


def _ignore(*_: object) -> None:
    """When to stop is for the worker to say; a handler, unlike SIG_IGN, is not inherited."""


def attempt(request: Header, payload: bytes, channel: Channel) -> tuple[Header, bytes]:
    """Run one attempt and return what the worker is told of its end."""
    try:
        definition = find_task(request)
    except NotDefinedHere as error:
        return outcome_facts(Outcome(ending=Ending.INVALID, error=error), retryable=False), b""
    except TaskModuleError as error:
        return outcome_facts(Outcome(ending=Ending.RAISED, error=error), retryable=True), b""
    job = job_of(request["job"], payload)
    context = ForwardingContext(job, definition, worker=request["worker"], channel=channel)
    outcome = contextvars.Context().run(_run, context, request["limit"])
    context.end()
    retryable = outcome.error is None or definition.retry_policy.is_retryable(outcome.error)
    return outcome_facts(outcome, retryable=retryable), outcome.encoded or b""


def _run(context: ForwardingContext, limit: int) -> Outcome:
    definition, job = context.definition, context.job
    try:
        args, kwargs = decode_arguments(definition, job.new.payload, serializer)
    except PayloadError as error:
        return Outcome(ending=Ending.INVALID, error=error)
    if definition.wants_job_id:
        kwargs["_job_id"] = job.id
    if definition.wants_context:
        kwargs["_task_context"] = context
    context.enter()
    bound_service.set(context.service)
    try:
        value = _call(definition, args, kwargs)
    except BaseException as error:  # noqa: BLE001  (whatever it is, the attempt has raised it)
        return Outcome(ending=Ending.RAISED, error=error)
    if value is None or not job.new.spec.keep_result:
        return Outcome(ending=Ending.RETURNED)
    try:
        encoded = encode_result(definition, value, serializer, limit=limit)
    except PayloadError as error:
        return Outcome(ending=Ending.INVALID, error=error)
    return Outcome(ending=Ending.RETURNED, encoded=encoded)


def _call(definition: Task[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
    if not definition.is_async:
        return definition.function(*args, **kwargs)
    return asyncio.run(_awaited(definition.function, args, kwargs))


async def _awaited(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> object:
    return await function(*args, **kwargs)


def find_task(request: Header) -> Task[..., Any]:
    """Import what defines the task of *request*, and return it.

    Raises:
        TaskModuleError: A module cannot be imported here.
        NotDefinedHere: The modules do not define it as they are imported.
    """
    name: str = request["task"]
    if name in default_registry:
        return default_registry.get(name)
    Importing.now = True
    try:
        import_task_modules(request["modules"])
        if request["script"] is not None:
            _import_script(request["script"])
            name = name.replace(MAIN, COPY_OF_MAIN, 1) if name.startswith(f"{MAIN}.") else name
    finally:
        Importing.now = False
    if name not in default_registry:
        raise NotDefinedHere(name, request["modules"])
    return default_registry.get(name)


def _import_script(path: str) -> ModuleType:
    """Import the script that the worker was started with, under a name that is not ``__main__``."""
    if COPY_OF_MAIN in sys.modules:
        return sys.modules[COPY_OF_MAIN]
    spec = spec_from_file_location(COPY_OF_MAIN, path)
    if spec is None or spec.loader is None:
        raise TaskModuleError(path, ImportError("it is no Python file"))
    module = sys.modules[COPY_OF_MAIN] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[COPY_OF_MAIN]
        raise TaskModuleError(path, error) from error
    return module
