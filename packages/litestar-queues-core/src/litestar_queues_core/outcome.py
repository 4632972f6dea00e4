"""How the code of an attempt ended."""

from __future__ import annotations

import traceback
from enum import StrEnum

from litestar_queues_core._record import hot_record
from litestar_queues_core.errors import QueueError
from litestar_queues_core.model import Failure
from litestar_queues_core.text import bound_text


class Ending(StrEnum):
    """What the code of an attempt did.

    ``STOPPED``: it was cancelled from outside and has stopped.  ``INVALID``: its arguments or its
    result could not be decoded or encoded, which no retry would change.
    """

    RETURNED = "returned"
    RAISED = "raised"
    STOPPED = "stopped"
    INVALID = "invalid"


@hot_record
class Outcome:
    """The end of an attempt's code, before anything is decided about the job.

    Attributes:
        ending: What it did.
        value: What it returned.
        encoded: The encoded result, if the executor had to encode it already.
        error: What it raised, control signals included.
        traceback: The formatted traceback, if the error comes from another process.
    """

    ending: Ending
    value: object = None
    encoded: bytes | None = None
    error: BaseException | None = None
    traceback: str | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the code returned."""
        return self.ending is Ending.RETURNED


class DescribedError(QueueError):
    """An error of which this process has a description only, because it happened in another.

    Attributes:
        type: Qualified name of its class.
        retryable: Whether the task's retry policy lets another attempt follow.
    """

    def __init__(self, message: str, *, type: str, retryable: bool) -> None:  # noqa: A002
        super().__init__(message)
        self.type = type
        self.retryable = retryable


def describe(outcome: Outcome, name: str) -> Failure:
    """Return the failure that an outcome's error is, with cleaned and bounded text.

    Args:
        outcome: The outcome.
        name: What the attempt record calls it.
    """
    error = outcome.error
    if error is None:
        return Failure(outcome=name, message=name)
    trace = outcome.traceback
    if trace is None:
        trace = "".join(traceback.format_exception(error))
    return Failure(
        outcome=name,
        type=bound_text(_type_of(error)),
        message=bound_text(_message_of(error)),
        traceback=bound_text(trace),
    )


def _type_of(error: BaseException) -> str:
    if isinstance(error, DescribedError):
        return error.type
    kind = type(error)
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def _message_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:  # noqa: BLE001  (an exception that cannot be shown is still shown)
        return f"<no message: {type(broken).__name__} in __str__>"
