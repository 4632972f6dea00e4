from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from litestar_queues_core.control import Cancel, Discard, Retry, Snooze
from litestar_queues_core.errors import ConfigError, NonRetryableError
from litestar_queues_core.lifecycle import backoff_seconds
from litestar_queues_core.model import Backoff
from litestar_queues_core.retry import RetryPolicy, retry_policy


class OutOfCredit(NonRetryableError):
    pass


def test_the_default_is_full_jitter_from_one_second_to_one_hour() -> None:
    assert RetryPolicy().backoff == Backoff(first=1.0, factor=2.0, ceiling=3600.0, jitter=1.0)


def test_durations_may_be_timedeltas() -> None:
    policy = RetryPolicy(first=timedelta(seconds=5), ceiling=timedelta(minutes=1))

    assert policy.backoff == Backoff(first=5.0, ceiling=60.0)


@pytest.mark.parametrize("delay", [7, 7.0, timedelta(seconds=7)])
def test_a_plain_duration_is_a_fixed_delay(delay: object) -> None:
    backoff = retry_policy(delay, "retry_policy").backoff

    waits = {backoff_seconds(backoff, attempt, random.random) for attempt in range(1, 50)}
    assert waits == {7.0}


def test_a_fixed_delay_may_exceed_the_default_ceiling() -> None:
    assert retry_policy(timedelta(hours=5), "retry_policy").backoff.ceiling == 5 * 3600


@st.composite
def policies(draw: st.DrawFn) -> RetryPolicy:
    first = draw(st.floats(0, 1e6))
    ceiling = first + draw(st.floats(0, 1e6))
    factor, jitter = draw(st.floats(1, 100)), draw(st.floats(0, 1))
    return RetryPolicy(first=first, factor=factor, ceiling=ceiling, jitter=jitter)


@given(policies(), st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_every_wait_is_within_its_bounds(policy: RetryPolicy, attempt: int, drawn: float) -> None:
    backoff = policy.backoff

    wait = backoff_seconds(backoff, attempt, lambda: drawn)
    longest = backoff_seconds(replace(backoff, jitter=0.0), attempt, lambda: drawn)

    assert longest <= backoff.ceiling
    assert longest * (1 - backoff.jitter) - 1e-6 <= wait <= longest + 1e-6


@pytest.mark.parametrize(
    "error", [ValueError(), TimeoutError(), SystemExit(1), ExceptionGroup("", [OSError()])]
)
def test_any_error_is_retryable_by_default(error: BaseException) -> None:
    assert RetryPolicy().is_retryable(error)


@pytest.mark.parametrize(
    "error", [NonRetryableError(), OutOfCredit(), Retry(), Snooze(1), Discard(), Cancel()]
)
def test_errors_that_say_so_and_control_signals_are_never_retryable(error: BaseException) -> None:
    assert not RetryPolicy(retry_on=BaseException).is_retryable(error)


def test_giving_up_beats_retrying() -> None:
    policy = RetryPolicy(retry_on=OSError, give_up_on=(FileNotFoundError, PermissionError))

    assert policy.is_retryable(ConnectionError())
    assert not policy.is_retryable(FileNotFoundError())
    assert not policy.is_retryable(ValueError())


def test_only_types_of_errors_keep_a_policy_from_travelling() -> None:
    assert not RetryPolicy(first=5).names_errors
    assert RetryPolicy(retry_on=OSError).names_errors
    assert RetryPolicy(give_up_on=OSError).names_errors


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"first": -1}, "RetryPolicy.first must be seconds or a timedelta of at least 0 s"),
        ({"first": "1"}, "RetryPolicy.first must be seconds"),
        ({"first": 10, "ceiling": 5}, "RetryPolicy.ceiling must be .* of at least 10 s"),
        ({"factor": 0.5}, "RetryPolicy.factor must be a number from 1 to"),
        ({"factor": float("nan")}, "RetryPolicy.factor"),
        ({"jitter": 1.5}, "RetryPolicy.jitter must be a number from 0 to 1, not 1.5"),
        ({"jitter": True}, "RetryPolicy.jitter"),
        ({"retry_on": "OSError"}, "RetryPolicy.retry_on must be an exception class"),
        ({"retry_on": OSError()}, "RetryPolicy.retry_on"),
        ({"give_up_on": (OSError, 1)}, "RetryPolicy.give_up_on"),
    ],
)
def test_a_policy_checks_itself(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        RetryPolicy(**fields)


@pytest.mark.parametrize("value", ["soon", True, None, -1])
def test_what_is_no_policy_is_refused_by_the_option_s_name(value: object) -> None:
    with pytest.raises(ConfigError, match="retry_policy must be"):
        retry_policy(value, "retry_policy")
