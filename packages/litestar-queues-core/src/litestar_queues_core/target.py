"""What ``module:attribute`` on a command line means: a queue service, or what gives one."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib import import_module
from typing import Any, cast

from litestar_queues_core.config import QueueConfig
from litestar_queues_core.errors import ConfigError
from litestar_queues_core.service import QueueService

Context = AbstractAsyncContextManager[Any]

WANTED = (
    "it must be a QueueService, a QueueConfig, or a function without arguments or an async "
    "context manager that gives one of them"
)


class TargetError(ConfigError):
    """A name on the command line does not lead to a service."""


def load(name: str) -> Any:
    """Return the object called ``module:attribute``; modules of the working directory are found.

    Raises:
        TargetError: The name has another form, or there is no such module or attribute.  If the
            module itself fails, its error is the cause.
    """
    module_name, colon, path = name.partition(":")
    if not (module_name and colon and path):
        raise TargetError(f"{name!r} must have the form module:attribute, for example app:service")
    _find_working_directory()
    value: Any = _import(module_name)
    found = f"{module_name}:"
    for attribute in path.split("."):
        if not hasattr(value, attribute):
            raise TargetError(f"{name!r}: {_no_attribute(value, attribute, found)}")
        value = getattr(value, attribute)
        found += f"{attribute}."
    return value


@asynccontextmanager
async def service_of(value: Any, name: str) -> AsyncGenerator[QueueService]:
    """Give the service that *value* is or makes, opened only if *value* opens it.

    Args:
        value: What :func:`load` returned.
        name: What it is called on the command line.

    Raises:
        TargetError: It gives none.
    """
    async with AsyncExitStack() as resources:
        value = await _made(value, name)
        if not isinstance(value, QueueService) and isinstance(value, AbstractAsyncContextManager):
            value = await resources.enter_async_context(cast(Context, value))
        if isinstance(value, QueueConfig):
            value = QueueService(value)
        if not isinstance(value, QueueService):
            raise TargetError(f"{name!r} gives {value!r}; {WANTED}")
        yield value


def _find_working_directory() -> None:
    here = os.getcwd()
    if "" not in sys.path and here not in sys.path:
        sys.path.insert(0, here)


def _import(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise TargetError(f"cannot import {name!r}: {error}") from error
        raise TargetError(
            f"there is no module {error.name!r}: call this in the directory that contains it, or "
            f"install it"
        ) from None
    except Exception as error:
        raise TargetError(f"cannot import {name!r}: {type(error).__name__}: {error}") from error


def _no_attribute(owner: Any, attribute: str, found: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415  (only here)

    public = {one: getattr(owner, one, None) for one in dir(owner) if not one.startswith("_")}
    fitting = [one for one, value in public.items() if _is_target(value, owner)]
    surely = [one for one in fitting if isinstance(public[one], QueueService | QueueConfig)]
    near = get_close_matches(attribute, fitting, n=1) or surely
    hint = f"; did you mean {found}{near[0]}?" if near else ""
    return f"{getattr(owner, '__name__', owner)!r} has no attribute {attribute!r}{hint}"


def _is_target(value: Any, owner: Any) -> bool:
    """Return whether *value* may give a service; of functions, those that *owner* has defined."""
    if isinstance(value, QueueService | QueueConfig | AbstractAsyncContextManager):
        return True
    home = getattr(owner, "__name__", None)
    return inspect.isfunction(value) and value.__module__ == home and not _needs_arguments(value)


def _needs_arguments(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind()
    except (TypeError, ValueError):
        return True
    return False


async def _made(value: Any, name: str) -> Any:
    """Return what a function gives, or *value* itself if it is none."""
    if isinstance(value, AbstractAsyncContextManager) or not callable(value):
        return cast(Any, value)
    if _needs_arguments(value):
        raise TargetError(f"{name!r} is {value!r}, which needs arguments; {WANTED}")
    made = value()
    return await made if inspect.isawaitable(made) else made
