"""When a failed attempt is tried again, and after how long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import cast

from litestar_queues_core.config import Seconds, seconds
from litestar_queues_core.control import Control
from litestar_queues_core.errors import ConfigError, NonRetryableError
from litestar_queues_core.model import Backoff

Errors = type[BaseException] | tuple[type[BaseException], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class RetryPolicy:
    """How a task's failures are retried.  How often is the task's option ``retries``.

    Attributes:
        first: Longest wait after the first failure; seconds or timedelta.
        factor: Growth of the wait from one failure to the next.
        ceiling: No wait is longer than this; seconds or timedelta.
        jitter: The part of each wait that is drawn at random: 1 waits anything from nothing to
            the whole ("full jitter"), 0 exactly the whole.
        retry_on: Only errors of these types are retried.
        give_up_on: Errors of these types are not, whatever ``retry_on`` says.
    """

    first: Seconds = 1.0
    factor: float = 2.0
    ceiling: Seconds = 3600.0
    jitter: float = 1.0
    retry_on: Errors = (BaseException,)
    give_up_on: Errors = ()

    def __post_init__(self) -> None:
        first = seconds(self.first, "RetryPolicy.first")
        checked = {
            "first": first,
            "factor": _number(self.factor, "RetryPolicy.factor", least=1, most=1e6),
            "ceiling": seconds(self.ceiling, "RetryPolicy.ceiling", least=first),
            "jitter": _number(self.jitter, "RetryPolicy.jitter", least=0, most=1),
            "retry_on": _error_types(self.retry_on, "RetryPolicy.retry_on"),
            "give_up_on": _error_types(self.give_up_on, "RetryPolicy.give_up_on"),
        }
        for field, value in checked.items():
            object.__setattr__(self, field, value)

    @property
    def backoff(self) -> Backoff:
        """The part that travels with a job."""
        return Backoff(
            first=seconds(self.first, "RetryPolicy.first"),
            factor=self.factor,
            ceiling=seconds(self.ceiling, "RetryPolicy.ceiling"),
            jitter=self.jitter,
        )

    @property
    def names_errors(self) -> bool:
        """Whether it has a part that lives in code and cannot travel: types of errors."""
        return self.retry_on != (BaseException,) or self.give_up_on != ()

    def is_retryable(self, error: BaseException) -> bool:
        """Return whether an attempt that raised *error* may be followed by another.

        Never after :class:`NonRetryableError`; control signals are no errors.
        """
        never = (NonRetryableError, Control, self.give_up_on)
        return isinstance(error, self.retry_on) and not isinstance(error, never)


def retry_policy(value: object, setting: str) -> RetryPolicy:
    """Return the policy that *value* means: a plain duration is a fixed delay.

    Raises:
        ConfigError: It is neither.
    """
    if isinstance(value, RetryPolicy):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | timedelta):
        raise ConfigError(f"{setting} must be a RetryPolicy, seconds or a timedelta, not {value!r}")
    delay = seconds(value, setting)
    return RetryPolicy(first=delay, factor=1.0, ceiling=delay, jitter=0.0)


def _number(value: object, setting: str, *, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ConfigError(f"{setting} must be a number from {least:g} to {most:g}, not {value!r}")
    return float(value)


def _error_types(value: Errors, setting: str) -> tuple[type[BaseException], ...]:
    types = value if isinstance(value, tuple) else (value,)
    if not all(
        isinstance(one, type) and issubclass(one, BaseException)
        for one in cast(tuple[object, ...], types)
    ):
        raise ConfigError(f"{setting} must be an exception class or a tuple of them, not {value!r}")
    return types
