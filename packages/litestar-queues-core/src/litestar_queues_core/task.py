"""Tasks: registered functions with their defaults."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Mapping
from functools import partial, update_wrapper
from inspect import (
    Parameter,
    isasyncgenfunction,
    iscoroutinefunction,
    isgeneratorfunction,
)
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    NamedTuple,
    ParamSpec,
    Protocol,
    Self,
    TypeVar,
    Unpack,
    cast,
    overload,
)

from litestar_queues_core.binding import CONTEXT, JOB_ID, Signature, origin_of
from litestar_queues_core.config import NAME, name as checked_name
from litestar_queues_core.errors import ConfigError
from litestar_queues_core.model import TaskSpec
from litestar_queues_core.options import (
    CALL_OPTIONS,
    CallOptions,
    Isolation,
    ScheduleOptions,
    TaskOptions,
    check_call_options,
    check_task_options,
    merged,
    schedule_of,
    spec_for,
)
from litestar_queues_core.registry import default_registry
from litestar_queues_core.retry import RetryPolicy
from litestar_queues_core.text import digest

if TYPE_CHECKING:
    from litestar_queues_core.results import TaskResult

P = ParamSpec("P")
R = TypeVar("R")
MAX_NAME = 100

R_co = TypeVar("R_co", covariant=True)


class Place(NamedTuple):
    """Where a function is defined."""

    qualname: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.qualname} ({self.file}:{self.line})"


class Task(Generic[P, R]):
    """A function that can be run as a job, with the options its jobs have by default.

    Calling it calls the function, here and now.

    Attributes:
        name: What it is called in the store.
        function: The function itself.
        module: The module to import in order to have the task.
        place: Where the function is defined.
        signature: What it takes, and how that travels.
        options: What its jobs have by default, in stored form; only what was given.
        schedule: When it runs by itself, if it does.
        isolation: ``job`` gives each attempt a context of its own, ``shared`` does not.
        sync_to_thread: Whether a sync function runs in a thread.
        retry_policy: Which errors are retried.  The delays travel with the job, in its spec.
        is_async: Whether calling the function gives a coroutine.
        wants_job_id: Whether it has the parameter ``_job_id``.
        wants_context: Whether it has the parameter ``_task_context``.
        option_keywords: Keywords that an enqueue takes for options of the call.
        prepared: What requests remember of it, by settings.
    """

    is_async = False
    __name__: str
    __qualname__: str
    __wrapped__: Callable[P, Any]

    def __init__(self, function: Callable[P, Any], name: str, options: Mapping[str, Any]) -> None:
        update_wrapper(self, function, updated=())
        origin = origin_of(function)
        self.name: str = checked_name(name, "the name of a task")
        self.function = function
        self.module: str = _module_of(origin)
        self.place: Place = _place_of(origin)
        self.signature: Signature = Signature(function)
        self.options = options
        self.schedule: ScheduleOptions | None = schedule_of(options)
        self.isolation: Isolation = options.get("isolation", "job")
        self.sync_to_thread: bool = options.get("sync_to_thread", True)
        self.retry_policy: RetryPolicy = options.get("retry_policy") or RetryPolicy()
        self.wants_job_id: bool = JOB_ID in self.signature.reserved
        self.wants_context: bool = CONTEXT in self.signature.reserved
        self.option_keywords: frozenset[str] = frozenset(
            option for option in CALL_OPTIONS if not self.has_parameter(option)
        )
        self.prepared: dict[object, Any] = {}

    def __repr__(self) -> str:
        return f"<Task {self.name!r}>"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Call the function."""
        return self.function(*args, **kwargs)

    @property
    def spec(self) -> TaskSpec:
        """The options that travel with every job of this task."""
        return spec_for(self.name, self.options)

    def has_parameter(self, name: str) -> bool:
        """Return whether the function has a parameter of that name."""
        parameter = self.signature.parameters.get(name)
        gathers = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
        return parameter is not None and parameter.kind not in gathers

    def using(self, **options: Unpack[CallOptions]) -> Self:
        """Return a copy with other options, for one call or many; this task is unchanged.

        Raises:
            TypeError: An option is unknown, or lives in the code of the task.
            ConfigError: A value is wrong; the message names the option and what it may be.
        """
        changes = check_call_options(options)
        changed = object.__new__(type(self))
        changed.__dict__ |= self.__dict__
        changed.options = merged(self.options, changes)
        changed.prepared = {}
        return changed

    def call(self, *args: P.args, **kwargs: P.kwargs) -> TaskCall[R]:
        """Return a call of this task, for :meth:`QueueService.enqueue_many`."""
        return TaskCall(self, args, kwargs)

    async def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> TaskResult[R]:
        """Persist a request to run this task, in the service of the running app or task.

        Raises:
            NoServiceError: None is open; the task is never run here and now instead.
        """
        from litestar_queues_core.current import current_service  # noqa: PLC0415  (a cycle)

        return await current_service().enqueue(self, *args, **kwargs)

    def enqueue_sync(self, *args: P.args, **kwargs: P.kwargs) -> TaskResult[R]:
        """Do what :meth:`enqueue` does, and block until it is done; for threads.

        Raises:
            NoServiceError: None is open.
            WrongLoopError: This is the thread of the service's own event loop.
        """
        from litestar_queues_core.current import current_service  # noqa: PLC0415  (a cycle)

        return current_service().sync.enqueue(self, *args, **kwargs)


class AsyncTask(Task[P, R]):
    """A task whose function is a coroutine function, or behaves like one."""

    is_async = True

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function and await it."""
        return cast(R, await self.function(*args, **kwargs))


class SyncTask(Task[P, R]):
    """A task whose function returns its result at once."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function."""
        return cast(R, super().__call__(*args, **kwargs))


class TaskCall(Generic[R_co]):
    """A task with the arguments of one call."""

    __slots__ = ("args", "kwargs", "task")

    def __init__(
        self, task: Task[..., R_co], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> None:
        self.task: Task[..., R_co] = task
        self.args: tuple[Any, ...] = args
        self.kwargs: Mapping[str, Any] = kwargs

    def __repr__(self) -> str:
        return f"<TaskCall {self.task.name!r} {self.args} {self.kwargs}>"


class TaskDecorator(Protocol):
    """What ``@task(...)`` decorates with."""

    @overload
    def __call__(  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
        self, function: Callable[P, Coroutine[Any, Any, R]], /
    ) -> AsyncTask[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> SyncTask[P, R]: ...


@overload
def task(  # type: ignore[overload-overlap]  # pyright: ignore[reportOverlappingOverload]
    function: Callable[P, Coroutine[Any, Any, R]], /
) -> AsyncTask[P, R]: ...
@overload
def task(function: Callable[P, R], /) -> SyncTask[P, R]: ...
@overload
def task(name: str | None = None, /, **options: Unpack[TaskOptions]) -> TaskDecorator: ...
def task(subject: Any = None, /, **options: Any) -> Any:
    """Register a function as a task: ``@task``, ``@task()`` or ``@task("name", ...)``.

    Without a name it is called like the function: module and qualified name, without the angle
    brackets that nested functions and lambdas have (``app.make.locals.send``).

    Raises:
        TypeError: This cannot be a task, or there is no such option.
        ConfigError: A value is wrong; the message names the option and what it may be.
        DuplicateTaskError: Another function has the name; the message says where both are.
    """
    checked = check_task_options(options)
    if subject is None or isinstance(subject, str):
        return partial(_register, name=subject, options=checked)
    return _register(subject, name=None, options=checked)


def _register(function: Any, *, name: str | None, options: Mapping[str, Any]) -> Task[..., Any]:
    _check_function(function)
    kind: type[Task[..., Any]] = (
        AsyncTask[..., Any] if _is(iscoroutinefunction, function) else SyncTask[..., Any]
    )
    made = kind(function, name or _default_name(function), options)
    default_registry.add(made)
    return made


def _check_function(function: Any) -> None:
    if isinstance(function, Task):
        raise TypeError(f"{function!r} is a task already; .using(...) gives it other options")
    if isinstance(function, type) or not callable(function):
        raise TypeError(f"a task is made of a function, not of {function!r}: @task('name', ...)")
    if _is(isgeneratorfunction, function) or _is(isasyncgenfunction, function):
        raise TypeError(
            f"{origin_of(function).__qualname__} is a generator function; a task returns its "
            f"result, and tells of its progress by publish_task_progress()"
        )


def _is(kind: Callable[[Any], bool], function: Any) -> bool:
    """Return whether calling *function* calls a function of that kind."""
    while isinstance(function, partial):
        function = cast(Any, function).func
    return kind(function) or kind(type(function).__call__)


def _default_name(function: Any) -> str:
    qualname = getattr(function, "__qualname__", None)
    if qualname is None:
        raise TypeError(f"{function!r} has no name; give the task one: @task('...')")
    name = _shortened(f"{_module_of(function)}.{qualname}".replace("<", "").replace(">", ""))
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"{name!r} cannot be the name of a task, which has 1 to 100 letters, digits or any "
            f"of _ . : / - ; give it another: @task('...')"
        )
    return name


def _shortened(name: str) -> str:
    """Return *name*, or its end behind a hash of it, so that it fits and stays the same."""
    return name if len(name) <= MAX_NAME else f"{digest(name)[:8]}.{name[9 - MAX_NAME :]}"


def _module_of(function: Any) -> str:
    """Return the name under which the function's module can be imported."""
    module = str(function.__module__)
    if module == "__main__":
        spec = getattr(sys.modules[module], "__spec__", None)
        return spec.name if spec else module
    return module


def _place_of(function: Any) -> Place:
    code = getattr(function, "__code__", None)
    if code is None:
        return Place(function.__qualname__, str(function.__module__), 0)
    return Place(function.__qualname__, code.co_filename, code.co_firstlineno)
