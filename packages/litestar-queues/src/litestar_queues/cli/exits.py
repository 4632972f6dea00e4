"""How commands end when they do not end well."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar, cast

import click

from litestar_queues_core.errors import QueueError
from litestar_queues_core.exits import INTERRUPTED, NOT_DONE, UNABLE, UNUSABLE, WRONG, exit_code

T = TypeVar("T")


class NotDone(click.ClickException):
    """Something that was asked for was not done."""

    exit_code = NOT_DONE


class Wrong(click.ClickException):
    """The arguments or the settings are wrong."""

    exit_code = WRONG


class Unusable(click.ClickException):
    """The store cannot be used."""

    exit_code = UNUSABLE


class Unable(click.ClickException):
    """The store, or this version, has no such ability."""

    exit_code = UNABLE


_ENDS: dict[int, type[click.ClickException]] = {
    one.exit_code: one for one in (NotDone, Wrong, Unusable, Unable)
}


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run *work* on an event loop of its own; an error of the queue ends the command.

    Raises:
        ClickException: One of those above, with the error's message.
        SystemExit: It was interrupted.
    """
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    except QueueError as error:
        raise _end(error) from error
    except BaseExceptionGroup as group:
        # Whatever goes wrong while a Litestar application runs leaves it in a group.
        only = _only_one(group)
        if isinstance(only, click.ClickException):
            raise only from None
        if isinstance(only, QueueError):
            raise _end(only) from only
        raise


def _end(error: QueueError) -> click.ClickException:
    return _ENDS[exit_code(error)](str(error))


def _only_one(error: BaseException) -> BaseException:
    inside = cast("tuple[BaseException, ...]", getattr(error, "exceptions", ()))
    return _only_one(inside[0]) if len(inside) == 1 else error
