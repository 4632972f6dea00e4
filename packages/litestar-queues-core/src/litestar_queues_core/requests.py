"""From a call to a job, and back: arguments and results as the bytes that travel."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

from litestar_queues_core.binding import NONE
from litestar_queues_core.config import Seconds, seconds
from litestar_queues_core.conversion import UNTYPED, Refusal, canonical, refuse_foreign
from litestar_queues_core.errors import PayloadError, PayloadTooLargeError
from litestar_queues_core.ids import JobId
from litestar_queues_core.lanes import LOCAL
from litestar_queues_core.model import JobMeta, KeyRule, NewJob, TaskSpec
from litestar_queues_core.options import CALL_OPTIONS, check_call_options, merged, spec_for
from litestar_queues_core.protocols import Serializer
from litestar_queues_core.serializer import JsonSerializer
from litestar_queues_core.task import Task
from litestar_queues_core.text import digest

FORMAT = b"1"
"""The first byte of every payload and result: the version of what follows."""

_NO_RESULT = FORMAT + b"null"


class RequestSettings(NamedTuple):
    """What the settings of a queue say about requests.

    Attributes:
        serializer: Encodes plain JSON.
        max_payload: Largest encoded arguments, in bytes.
        default_timeout: Timeout of jobs whose task and call name none.
        default_execution_backend: Where jobs run whose task and call do not say.
        injected_for: Names the parameters of a task that are provided at run time.
    """

    serializer: Serializer
    max_payload: int = 1_048_576
    default_timeout: Seconds | None = None
    default_execution_backend: str = LOCAL
    injected_for: Callable[[Task[..., Any]], frozenset[str]] | None = None


class Template(NamedTuple):
    """All of a :class:`NewJob` that does not depend on its arguments.

    Attributes:
        by_arguments: Whether the key is made of the arguments; ``rule`` then lacks it.
    """

    spec: TaskSpec
    delay_ms: int
    due_ms: int | None
    expires_in_ms: int | None
    expires_ms: int | None
    rule: KeyRule | None
    by_arguments: bool
    meta: JobMeta | None


def split_options(
    task: Task[..., Any], kwargs: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the options among the keywords of an enqueue, and the other keywords.

    A keyword that names an option is one unless the task has a parameter of that name.
    """
    if not kwargs or not (given := task.option_keywords.intersection(kwargs)):
        return {}, kwargs
    options = {name: kwargs[name] for name in given}
    return options, {name: value for name, value in kwargs.items() if name not in options}


def new_job(
    task: Task[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any] | None = None,
    *,
    job_id: JobId,
    settings: RequestSettings,
) -> NewJob:
    """Return the job that a call asks for.

    Args:
        task: What to run.
        args: Its positional arguments.
        kwargs: Its arguments by name, and nothing else.
        options: Options of this call; those of the task apply beneath them.
        job_id: The new job's id.
        settings: Those of the queue.

    Raises:
        TypeError: The arguments do not fit the task, or an option does not exist.
        ConfigError: The value of an option is wrong.
        PayloadError: An argument cannot travel; the message says which and where in it.
        PayloadTooLargeError: The arguments are too large.
    """
    injected = settings.injected_for(task) if settings.injected_for else NONE
    template = _template(task, options, settings)
    signature = task.signature
    values = signature.binder(injected)(*args, **kwargs)
    try:
        signature.plan.encode(values)
        payload = _dumps(values, settings.serializer, "{}")
    except Refusal as refusal:
        raise _argument_error(task, refusal) from refusal.cause
    if len(payload) > settings.max_payload:
        what = f"a call of {task.name!r}"
        raise PayloadTooLargeError(what, size=len(payload), limit=settings.max_payload)
    rule = template.rule
    if template.by_arguments and rule is not None:
        rule = KeyRule(key=_arguments_key(task, values, injected), until=rule.until)
    return NewJob(
        job_id,
        template.spec,
        payload,
        template.delay_ms,
        template.due_ms,
        template.expires_in_ms,
        template.expires_ms,
        rule,
        template.meta,
    )


def decode_values(task: Task[..., Any], payload: bytes, serializer: Serializer) -> dict[str, Any]:
    """Return the arguments in *payload* by name; defaults are not among them.

    Raises:
        PayloadError: They cannot be decoded, or are none of this task as it is now.
    """
    values = _loads(payload, serializer, "the arguments of {!r}", task.name)
    if not isinstance(values, dict):
        raise PayloadError(f"the arguments of {task.name!r} are no JSON object")
    arguments = cast(dict[str, Any], values)
    if not task.signature.parameters.keys() >= arguments.keys():
        name = next(iter(arguments.keys() - task.signature.parameters.keys()))
        raise PayloadError(f"{task.name}() has no parameter {name!r}, or none any more")
    try:
        task.signature.plan.decode(arguments)
    except Refusal as refusal:
        raise _argument_error(task, refusal) from refusal.cause
    return arguments


def decode_arguments(
    task: Task[..., Any], payload: bytes, serializer: Serializer
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments in *payload* as a call takes them.

    What is provided at run time can be added by name.

    Raises:
        PayloadError: They cannot be decoded, or are none of this task as it is now.
    """
    values = decode_values(task, payload, serializer)
    try:
        return task.signature.arrange(values)
    except TypeError as error:
        raise PayloadError(f"{task.name}(): {error}") from error


def encode_result(
    task: Task[..., Any], value: object, serializer: Serializer, *, limit: int = 1_048_576
) -> bytes:
    """Return what a task returned as the bytes that are kept.

    Raises:
        PayloadError: It cannot travel; the message says where in it.
        PayloadTooLargeError: It takes more than *limit* bytes.
    """
    if value is None:
        return _NO_RESULT
    try:
        data = _dumps(task.signature.plan.encode_result(value), serializer)
    except Refusal as refusal:
        raise _result_error(task.name, refusal) from refusal.cause
    if len(data) > limit:
        raise PayloadTooLargeError(f"the result of {task.name!r}", size=len(data), limit=limit)
    return data


def decode_result(task: Task[..., Any] | None, data: bytes | None, serializer: Serializer) -> Any:
    """Return what a task returned.

    Args:
        task: The task; ``None`` if it is not known here, and so what it is annotated to return.
        data: What :func:`encode_result` made; ``None`` gives ``None``.
        serializer: The queue's.

    Raises:
        PayloadError: The bytes cannot be decoded.
    """
    if data is None or data == _NO_RESULT:
        return None
    name = task.name if task else "a task that is unknown here"
    value = _loads(data, serializer, "the result of {!r}", name)
    try:
        return task.signature.plan.decode_result(value) if task else UNTYPED.decode(value)
    except Refusal as refusal:
        raise _result_error(name, refusal) from refusal.cause


def _template(
    task: Task[..., Any], options: Mapping[str, Any] | None, settings: RequestSettings
) -> Template:
    if options:
        own = merged(task.options, check_call_options(options))
        return _new_template(task.name, own, settings)
    defaults = (settings.default_timeout, settings.default_execution_backend)
    template: Template | None = task.prepared.get(defaults)
    if template is None:
        template = task.prepared[defaults] = _new_template(task.name, task.options, settings)
    return template


def _new_template(name: str, options: Mapping[str, Any], settings: RequestSettings) -> Template:
    timeout, backend = settings.default_timeout, settings.default_execution_backend
    headers = options.get("headers")
    return Template(
        spec=spec_for(
            name,
            options,
            default_timeout=None if timeout is None else seconds(timeout, "default_timeout"),
            default_backend=None if backend == LOCAL else backend,
        ),
        delay_ms=options.get("run_after") or 0,
        due_ms=options.get("run_at"),
        expires_in_ms=options.get("expires_in"),
        expires_ms=options.get("expires_at"),
        rule=_rule(name, options),
        by_arguments=options.get("key") is None and options.get("unique_by") == "arguments",
        meta=JobMeta(headers=headers) if headers else None,
    )


def _rule(task: str, options: Mapping[str, Any]) -> KeyRule | None:
    """Return the key's rule: an explicit key beats what the task is unique by."""
    key, unique_by = options.get("key"), options.get("unique_by")
    if key is None and unique_by is None:
        return None
    return KeyRule(key=key or f"{task}#{unique_by}", until=options.get("unique_until", "finished"))


def _arguments_key(
    task: Task[..., Any], values: Mapping[str, Any], injected: frozenset[str]
) -> str:
    """Return the key of a call with these encoded arguments, whichever way they were given."""
    signature = task.signature
    defaults = {
        name: default
        for name, default in signature.defaults.items()
        if name not in values and name not in injected
    }
    try:
        signature.plan.encode(defaults)
        identity = canonical({**defaults, **values})
    except (Refusal, TypeError, ValueError) as error:
        raise PayloadError(
            f"{task.name}(): the default of a parameter cannot be compared, as "
            f"unique_by='arguments' needs it: {error}"
        ) from error
    return f"{task.name}#{digest(identity)}"


def _dumps(value: object, serializer: Serializer, step: str = "[{!r}]") -> bytes:
    try:
        return FORMAT + serializer.dumps(value)
    except UnicodeEncodeError:
        return FORMAT + JsonSerializer().dumps(value)
    except Exception as error:
        refuse_foreign(value, step)
        raise Refusal.of(error) from error


def _loads(data: bytes, serializer: Serializer, what: str, name: str) -> object:
    if data[:1] != FORMAT:
        raise PayloadError(
            f"{what.format(name)} came in format {data[:1]!r}, and this version of "
            f"litestar-queues reads {FORMAT!r} only; upgrade it here"
        )
    try:
        return serializer.loads(data[1:])
    except Exception as error:
        raise PayloadError(f"{what.format(name)} cannot be decoded: {error}") from error


def _argument_error(task: Task[..., Any], refusal: Refusal) -> PayloadError:
    name = re.split(r"[.\[]", refusal.path, maxsplit=1)[0]
    hint = f" (for the option, use .using({name}=...))" if name in CALL_OPTIONS else ""
    return PayloadError(f"{task.name}(): argument {refusal.path!r} {refusal.reason}{hint}")


def _result_error(task: str, refusal: Refusal) -> PayloadError:
    return PayloadError(f"{task}(): the result{refusal.path} {refusal.reason}")
