"""The options of a task and of a call: what there is, what is allowed, which one wins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields as dataclass_fields
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from typing import Any, Literal, NamedTuple, TypedDict

from litestar_queues_core.config import Seconds, choice, name, seconds, whole
from litestar_queues_core.errors import ConfigError
from litestar_queues_core.model import Backoff, TaskSpec
from litestar_queues_core.retry import RetryPolicy, retry_policy
from litestar_queues_core.text import clean_text, storable_key

LogLevel = Literal["debug", "info", "warning", "error"]
UniqueBy = Literal["task", "arguments"]
UniqueUntil = Literal["started", "finished", "forever"] | Seconds
Isolation = Literal["job", "shared"]
Missed = Literal["run_once", "skip", "catch_up"]


class SharedOptions(TypedDict, total=False):
    """Options that a task has, and that a call may change."""

    queue: str
    priority: int
    retries: int
    retry_policy: RetryPolicy | Seconds | None
    timeout: Seconds | None
    execution_backend: str | None
    execution_profile: str | None
    key: str | None
    unique_by: UniqueBy | None
    unique_until: UniqueUntil
    run_after: Seconds | None
    expires_in: Seconds | None
    description: str | None
    log_level: LogLevel
    quiet_success: bool
    keep_result: bool
    max_rescues: int


class CallOptions(SharedOptions, total=False):
    """Options of one call: of :meth:`Task.using` and of :meth:`QueueService.enqueue`."""

    run_at: datetime | None
    expires_at: datetime | None
    headers: Mapping[str, str] | None
    session: Any


class TaskOptions(SharedOptions, total=False):
    """Options of the decorator."""

    isolation: Isolation
    sync_to_thread: bool
    cron: str | Sequence[str] | None
    timezone: str
    interval: Seconds | None
    initial_delay: Seconds
    jitter: Seconds
    missed: Missed
    max_instances: int


class ScheduleOptions(NamedTuple):
    """When a task runs by itself; durations in seconds."""

    cron: tuple[str, ...] = ()
    timezone: str = "UTC"
    interval: float | None = None
    initial_delay: float = 0.0
    jitter: float = 0.0
    missed: Missed = "run_once"
    max_instances: int = 1


SCHEDULE_OPTIONS = frozenset(
    {"cron", "timezone", "interval", "initial_delay", "jitter", "missed", "max_instances"}
)
CODE_OPTIONS = SCHEDULE_OPTIONS | {"isolation", "sync_to_thread", "retry_on", "give_up_on"}
CALL_OPTIONS = frozenset(CallOptions.__annotations__)
TASK_OPTIONS = frozenset(TaskOptions.__annotations__)

_SPEC_FIELDS = [
    field.name
    for field in dataclass_fields(TaskSpec)
    if field.init and field.name in SharedOptions.__annotations__
]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_REPLACES = {
    "run_at": "run_after",
    "run_after": "run_at",
    "expires_at": "expires_in",
    "expires_in": "expires_at",
}

Check = Callable[[Any, str], Any]


def check_task_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the decorator's options in their stored form.

    Raises:
        TypeError: There is no such option.
        ConfigError: A value is wrong; the message names the option and what it may be.
    """
    for option in ("retry_on", "give_up_on"):
        if option in options:
            raise TypeError(
                f"{option} belongs to the retry policy: retry_policy=RetryPolicy({option}=...)"
            )
    return _checked(options, TASK_OPTIONS, "@task()")


def check_call_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a call in their stored form.

    Raises:
        TypeError: There is no such option, or it lives in code and cannot travel with a job.
        ConfigError: A value is wrong; the message names the option and what it may be.
    """
    if not CALL_OPTIONS.issuperset(options):
        for option in CODE_OPTIONS.intersection(options):
            raise TypeError(_lives_in_code(option))
    policy = options.get("retry_policy")
    if isinstance(policy, RetryPolicy) and policy.names_errors:
        raise TypeError(_lives_in_code("a RetryPolicy with retry_on or give_up_on"))
    return _checked(options, CALL_OPTIONS, "a call")


def merged(options: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return *options* with *changes*, both in their stored form.

    A new instant replaces an old delay, and a new delay an old instant.
    """
    result = {**options, **changes}
    for option in changes.keys() & _REPLACES:
        if changes[option] is not None:
            result.pop(_REPLACES[option], None)
    return result


def schedule_of(options: Mapping[str, Any]) -> ScheduleOptions | None:
    """Return the schedule among a task's *options*, which are in their stored form.

    Raises:
        ConfigError: They contradict each other.
    """
    given = {option: options[option] for option in SCHEDULE_OPTIONS.intersection(options)}
    cron, interval = given.get("cron"), given.get("interval")
    if cron and interval is not None:
        raise ConfigError("cron and interval exclude each other: give one of them")
    if interval is None and "initial_delay" in given:
        raise ConfigError("initial_delay needs interval")
    if not cron and "timezone" in given:
        raise ConfigError("timezone needs cron")
    if not cron and interval is None:
        for option in given.keys() - {"cron", "interval"}:
            raise ConfigError(f"{option} needs cron or interval")
        return None
    return ScheduleOptions(**given)


def spec_for(
    task: str,
    options: Mapping[str, Any],
    *,
    default_timeout: float | None = None,
    default_backend: str | None = None,
) -> TaskSpec:
    """Return what all jobs of *task* with these options share; equal ones share one object.

    Args:
        task: Name of the task.
        options: Its options in their stored form.
        default_timeout: Seconds, where the options name none.
        default_backend: Where jobs run whose options do not say.
    """
    values = tuple(map(options.get, _SPEC_FIELDS))
    return _spec(task, values, options.get("retry_policy"), default_timeout, default_backend)


@lru_cache(maxsize=4096)
def _spec(
    task: str,
    values: tuple[Any, ...],
    policy: RetryPolicy | None,
    default_timeout: float | None,
    default_backend: str | None,
) -> TaskSpec:
    fields: dict[str, Any] = {"timeout": default_timeout, "execution_backend": default_backend}
    named = zip(_SPEC_FIELDS, values, strict=True)
    fields |= {field: value for field, value in named if value is not None}
    return TaskSpec(task=task, backoff=policy.backoff if policy else Backoff(), **fields)


def _checked(options: Mapping[str, Any], known: frozenset[str], where: str) -> dict[str, Any]:
    if not known.issuperset(options):
        raise TypeError(_unknown(next(iter(options.keys() - known)), known, where))
    checked = {option: _CHECKS[option](value, option) for option, value in options.items()}
    if not checked.keys().isdisjoint(_REPLACES):
        for option, other in _REPLACES.items():
            if checked.get(option) is not None and checked.get(other) is not None:
                raise ConfigError(f"{option} and {other} exclude each other: give one of them")
    return checked


def _unknown(option: str, known: frozenset[str], where: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415  (costs 5 ms, and only here)

    near = get_close_matches(option, list(known), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
    return f"{where} has no option {option!r}; {hint}"


def _lives_in_code(option: str) -> str:
    return f"{option} lives in the code of the task and cannot be given per call; give it to @task"


def _optional(check: Check) -> Check:
    return lambda value, option: None if value is None else check(value, option)


def _flag(value: Any, option: str) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"{option} must be True or False, not {value!r}")
    return value


def _text(value: Any, option: str) -> str:
    if not isinstance(value, str):
        raise ConfigError(f"{option} must be text, not {value!r}")
    return clean_text(value)


def _key(value: Any, option: str) -> str:
    if not _text(value, option):
        raise ConfigError(f"{option} must not be empty; leave it out, or give None")
    return storable_key(value)


def _one_of(*choices: str) -> Check:
    def check(value: Any, option: str) -> Any:
        choice(value, option, choices)
        return value

    return check


def _milliseconds(value: Any, option: str) -> int:
    return round(seconds(value, option) * 1000)


def _lasting_milliseconds(value: Any, option: str) -> int:
    return round(seconds(value, option, least=0.001) * 1000)


def _until(value: Any, option: str) -> Any:
    if isinstance(value, str):
        choice(value, option, ("started", "finished", "forever"))
        return value
    return _lasting_milliseconds(value, option)


def _instant(value: Any, option: str) -> int:
    """Return the first whole millisecond that is not before the instant."""
    if not isinstance(value, datetime):
        raise ConfigError(f"{option} must be a datetime, not {value!r}")
    if value.utcoffset() is None:
        raise ConfigError(
            f"{option} must know its time zone, as datetime.now(UTC) does; {value!r} does not"
        )
    return -((_EPOCH - value) // _MILLISECOND)


def _headers(value: Any, option: str) -> dict[str, str]:
    try:
        headers = dict[Any, Any](value)
    except (TypeError, ValueError):
        raise ConfigError(f"{option} must be a dict of text to text, not {value!r}") from None
    return {_text(one, option): _text(content, option) for one, content in headers.items()}


def _crons(value: Any, option: str) -> tuple[str, ...]:
    try:
        crons = (value,) if isinstance(value, str) else tuple(value)
    except TypeError:
        raise ConfigError(
            f"{option} must be an expression or several of them, not {value!r}"
        ) from None
    return tuple(_text(cron, option) for cron in crons)


_CHECKS: Mapping[str, Check] = {
    "queue": name,
    "priority": partial(whole, least=-1000, most=1000),
    "retries": partial(whole, least=0, most=1_000_000),
    "retry_policy": _optional(retry_policy),
    "timeout": _optional(partial(seconds, least=0.001)),
    "execution_backend": _optional(name),
    "execution_profile": _optional(name),
    "key": _optional(_key),
    "unique_by": _optional(_one_of("task", "arguments")),
    "unique_until": _until,
    "run_at": _optional(_instant),
    "run_after": _optional(_milliseconds),
    "expires_at": _optional(_instant),
    "expires_in": _optional(_lasting_milliseconds),
    "description": _optional(_text),
    "log_level": _one_of("debug", "info", "warning", "error"),
    "quiet_success": _flag,
    "keep_result": _flag,
    "max_rescues": partial(whole, least=0, most=1000),
    "headers": _optional(_headers),
    "session": lambda value, _: value,
    "isolation": _one_of("job", "shared"),
    "sync_to_thread": _flag,
    "cron": _optional(_crons),
    "timezone": _text,
    "interval": _optional(partial(seconds, least=1)),
    "initial_delay": seconds,
    "jitter": seconds,
    "missed": _one_of("run_once", "skip", "catch_up"),
    "max_instances": partial(whole, least=1, most=10_000),
}
