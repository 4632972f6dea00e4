"""A setting that cannot work is refused when it is made, with its name and the fix."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from litestar_queues_core import ConfigError, QueueConfig, Retention, WorkerConfig


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"concurrency": 0}, r"WorkerConfig\.concurrency must be a whole number from 1"),
        ({"concurrency": "10"}, r"WorkerConfig\.concurrency must be .* not '10'"),
        ({"placement": "inside"}, r"WorkerConfig\.placement must be one of 'app', 'external'"),
        ({"queues": "email"}, r"WorkerConfig\.queues must be a list of names: \['email'\]"),
        ({"queues": ["e mail"]}, r"1 to 100 letters, digits or any of"),
        ({"lease": 0}, r"WorkerConfig\.lease must be seconds or a timedelta of at least 0\.5 s"),
        ({"grace": -1}, r"WorkerConfig\.grace must be seconds"),
        ({"queue_concurrency": {"email": 0}}, r"queue_concurrency\['email'\]"),
        ({"max_jobs": 0}, r"WorkerConfig\.max_jobs must be a whole number"),
    ],
)
def test_worker_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        WorkerConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"queue_backend": 5}, r"QueueConfig\.queue_backend must be the name of a backend"),
        ({"task_modules": "app.tasks"}, r"must be a list of names: \['app\.tasks'\]"),
        ({"app_name": "my app"}, r"QueueConfig\.app_name must be 1 to 100 letters"),
        ({"dependency_key": "my-queue"}, r"QueueConfig\.dependency_key must be a Python name"),
        ({"default_timeout": "5s"}, r"QueueConfig\.default_timeout must be seconds or a timedelta"),
        ({"max_payload": 0}, r"QueueConfig\.max_payload must be a whole number"),
        ({"retention": None}, r"QueueConfig\.retention must be a Retention\(\.\.\.\)"),
        ({"retention": Retention(completed=-1)}, r"Retention\.completed must be seconds"),
        ({"retention": Retention(max_finished=-1)}, r"Retention\.max_finished must be a whole"),
    ],
)
def test_queue_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        QueueConfig(**settings)


def test_durations_may_be_timedeltas() -> None:
    config = WorkerConfig(lease=timedelta(seconds=3), grace=timedelta(0))

    assert (config.lease, config.grace) == (3.0, 0.0)
