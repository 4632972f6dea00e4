from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from litestar_queues_core.errors import ConfigError
from litestar_queues_core.model import Backoff
from litestar_queues_core.options import (
    CALL_OPTIONS,
    CODE_OPTIONS,
    TASK_OPTIONS,
    ScheduleOptions,
    check_call_options,
    check_task_options,
    merged,
    schedule_of,
    spec_for,
)
from litestar_queues_core.retry import RetryPolicy

SAMPLES: dict[str, Any] = {
    "queue": "files",
    "priority": -1000,
    "retries": 3,
    "retry_policy": 5,
    "timeout": timedelta(minutes=10),
    "execution_backend": "cloudrun",
    "execution_profile": "worker-heavy",
    "key": "file:1",
    "unique_by": "arguments",
    "unique_until": timedelta(hours=1),
    "run_after": 1.5,
    "expires_in": timedelta(days=1),
    "description": "Process a file.",
    "log_level": "debug",
    "quiet_success": True,
    "keep_result": False,
    "max_rescues": 0,
    "run_at": datetime(2024, 1, 1, tzinfo=UTC),
    "expires_at": datetime(2024, 1, 2, tzinfo=UTC),
    "headers": {"trace": "1"},
    "session": object(),
    "isolation": "shared",
    "sync_to_thread": False,
    "cron": "0 2 * * *",
    "timezone": "Europe/Berlin",
    "interval": 300,
    "initial_delay": 60,
    "jitter": 30,
    "missed": "skip",
    "max_instances": 2,
}


def test_every_option_has_a_sample_here_and_is_accepted_where_it_belongs() -> None:
    assert set(SAMPLES) == CALL_OPTIONS | TASK_OPTIONS
    for option, value in SAMPLES.items():
        if option in TASK_OPTIONS:
            assert option in check_task_options({option: value})
        if option in CALL_OPTIONS:
            assert option in check_call_options({option: value})


def test_durations_and_instants_are_kept_in_one_form() -> None:
    given = {name: SAMPLES[name] for name in ("timeout", "unique_until", "run_after", "expires_in")}

    assert check_call_options(given) == {
        "timeout": 600.0,
        "unique_until": 3_600_000,
        "run_after": 1_500,
        "expires_in": 86_400_000,
    }


@pytest.mark.parametrize(
    ("instant", "milliseconds"),
    [
        (datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), 1000),
        (datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC), 1),
        (datetime(1970, 1, 1, 0, 0, 0, 1000, tzinfo=UTC), 1),
        (datetime(1970, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))), 0),
        (datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC), -1000),
    ],
)
def test_an_instant_is_the_first_whole_millisecond_not_before_it(
    instant: datetime, milliseconds: int
) -> None:
    assert check_call_options({"run_at": instant}) == {"run_at": milliseconds}


def test_a_long_key_is_stored_hashed() -> None:
    assert len(check_call_options({"key": "k" * 300})["key"]) == 255


def test_text_is_cleaned_of_what_stores_cannot_hold() -> None:
    checked = check_call_options({"description": "a\x00b", "headers": {"x\ud800": "\x00"}})

    assert checked == {"description": "a\ufffdb", "headers": {"x\ufffd": "\ufffd"}}


@pytest.mark.parametrize("option", sorted(CODE_OPTIONS))
def test_options_that_live_in_code_are_refused_per_call(option: str) -> None:
    with pytest.raises(TypeError, match=rf"^{option} lives in the code of the task.*@task"):
        check_call_options({option: SAMPLES.get(option)})


@pytest.mark.parametrize("errors", [{"retry_on": OSError}, {"give_up_on": OSError}])
def test_a_policy_with_types_of_errors_is_refused_per_call(errors: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="a RetryPolicy with retry_on or give_up_on lives in the"):
        check_call_options({"retry_policy": RetryPolicy(**errors)})

    assert check_task_options({"retry_policy": RetryPolicy(**errors)})


def test_types_of_errors_belong_to_the_retry_policy() -> None:
    with pytest.raises(TypeError, match=r"retry_policy=RetryPolicy\(retry_on=\.\.\.\)"):
        check_task_options({"retry_on": OSError})


def test_an_unknown_option_is_answered_with_what_may_be_meant() -> None:
    with pytest.raises(TypeError, match=r"@task\(\) has no option 'retires'; did you mean 'retri"):
        check_task_options({"retires": 3})
    with pytest.raises(TypeError, match=r"a call has no option 'zzz'; there are .*priority"):
        check_call_options({"zzz": 3})
    with pytest.raises(TypeError, match=r"@task\(\) has no option 'run_at'"):
        check_task_options({"run_at": SAMPLES["run_at"]})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"queue": "a b"}, "queue must be 1 to 100 letters"),
        ({"queue": None}, "queue must be"),
        ({"priority": 1001}, "priority must be a whole number from -1000 to 1000, not 1001"),
        ({"priority": 1.5}, "priority must be a whole number"),
        ({"retries": -1}, "retries must be a whole number from 0"),
        ({"timeout": 0}, "timeout must be seconds or a timedelta of at least 0.001 s"),
        ({"timeout": "10"}, "timeout must be seconds or a timedelta"),
        ({"retry_policy": "fast"}, "retry_policy must be a RetryPolicy, seconds or a timedelta"),
        ({"key": ""}, "key must not be empty"),
        ({"key": 5}, "key must be text, not 5"),
        ({"unique_by": "args"}, "unique_by must be one of 'task', 'arguments', not 'args'"),
        ({"unique_until": "ended"}, "unique_until must be one of 'started', 'finished', 'forever'"),
        ({"unique_until": 0}, "unique_until must be seconds"),
        ({"run_at": datetime(2024, 1, 1)}, r"run_at must know its time zone, as datetime\.now"),
        ({"run_at": "2024-01-01"}, "run_at must be a datetime, not '2024-01-01'"),
        ({"run_after": -1}, "run_after must be seconds"),
        ({"expires_in": 0}, "expires_in must be seconds"),
        ({"description": 5}, "description must be text, not 5"),
        ({"log_level": "verbose"}, "log_level must be one of 'debug', 'info', 'warning', 'error'"),
        ({"quiet_success": 1}, "quiet_success must be True or False, not 1"),
        ({"headers": {"a": 1}}, "headers must be text, not 1"),
        ({"headers": 5}, "headers must be a dict of text to text, not 5"),
        ({"max_rescues": -1}, "max_rescues must be a whole number"),
        (
            {"run_at": SAMPLES["run_at"], "run_after": 5},
            "run_at and run_after exclude each other: give one of them",
        ),
        (
            {"expires_at": SAMPLES["run_at"], "expires_in": 5},
            "expires_at and expires_in exclude each other",
        ),
    ],
)
def test_a_wrong_value_is_refused_with_the_option_and_the_fix(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        check_call_options(options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"isolation": "process"}, "isolation must be one of 'job', 'shared', not 'process'"),
        ({"sync_to_thread": "no"}, "sync_to_thread must be True or False"),
        ({"interval": 0}, "interval must be seconds"),
        ({"max_instances": 0}, "max_instances must be a whole number from 1"),
        ({"missed": "all"}, "missed must be one of 'run_once', 'skip', 'catch_up'"),
        ({"timezone": 1}, "timezone must be text"),
        ({"cron": 5}, "cron must be an expression or several of them, not 5"),
        ({"cron": ["* * * * *", 5]}, "cron must be text, not 5"),
        ({"cron": "* * * * *", "interval": 5}, "cron and interval exclude each other"),
        ({"cron": "* * * * *", "initial_delay": 5}, "initial_delay needs interval"),
        ({"interval": 5, "timezone": "UTC"}, "timezone needs cron"),
        ({"jitter": 5}, "jitter needs cron or interval"),
        ({"max_instances": 2, "cron": []}, "max_instances needs cron or interval"),
    ],
)
def test_a_wrong_option_of_a_task_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        schedule_of(check_task_options(options))


def test_a_schedule_is_what_the_options_say() -> None:
    cron = {"cron": ["0 2 * * *", "0 14 * * *"], "timezone": "Europe/Berlin", "jitter": 5}
    interval = {"interval": timedelta(minutes=5), "initial_delay": 60, "missed": "skip"}

    assert schedule_of(check_task_options(cron)) == ScheduleOptions(
        cron=("0 2 * * *", "0 14 * * *"), timezone="Europe/Berlin", jitter=5.0
    )
    assert schedule_of(check_task_options(interval)) == ScheduleOptions(
        interval=300.0, initial_delay=60.0, missed="skip"
    )
    assert schedule_of(check_task_options({"cron": "@daily"})) == ScheduleOptions(cron=("@daily",))
    assert schedule_of({}) is None


def test_later_options_win_and_none_takes_back() -> None:
    assert merged({"priority": 1, "key": "a"}, {"priority": 2, "key": None}) == {
        "priority": 2,
        "key": None,
    }


@pytest.mark.parametrize(
    ("old", "new"), [("run_after", "run_at"), ("run_at", "run_after"), ("expires_in", "expires_at")]
)
def test_an_instant_and_a_delay_replace_each_other(old: str, new: str) -> None:
    assert merged({old: 5}, {new: 7}) == {new: 7}
    assert merged({old: 5}, {new: None}) == {old: 5, new: None}


def test_equal_options_share_one_spec() -> None:
    options = check_call_options({"priority": 5, "retry_policy": 7})

    spec = spec_for("shared", options, default_timeout=60.0, default_backend="cloudrun")

    assert spec is spec_for(
        "shared", dict(options), default_timeout=60.0, default_backend="cloudrun"
    )
    assert (spec.priority, spec.timeout, spec.lane) == (5, 60.0, "default@cloudrun")
    assert spec.backoff == Backoff(first=7.0, factor=1.0, ceiling=7.0, jitter=0.0)


def test_defaults_apply_where_the_options_are_silent() -> None:
    options = check_call_options({"timeout": 5, "execution_backend": "local"})

    spec = spec_for("explicit", options, default_timeout=60.0, default_backend="cloudrun")

    assert (spec.timeout, spec.lane) == (5.0, "default")
    assert spec_for("silent", {"timeout": None}, default_timeout=60.0).timeout == 60.0
