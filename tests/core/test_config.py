"""A setting that cannot work is refused when it is made, with its name and the fix."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from litestar_queues_core import (
    ConfigError,
    QueueConfig,
    QueueEventConfig,
    Retention,
    WorkerConfig,
)
from litestar_queues_core.events import InMemoryEventSink
from litestar_queues_core.executors.process import ProcessExecutionConfig
from litestar_queues_core.serializer import JsonSerializer
from litestar_queues_core.stores.memory import MemoryBackendConfig


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
        ({"queues": 5}, r"WorkerConfig\.queues must be a list of names, not 5"),
        ({"queue_concurrency": ["a"]}, r"queue_concurrency must be of type Mapping, not \['a'\]"),
        ({"lifespan": 5}, r"WorkerConfig\.lifespan must be a function, not 5"),
        ({"before_job": "x"}, r"WorkerConfig\.before_job must be a function, not 'x'"),
        ({"after_job": {}}, r"WorkerConfig\.after_job must be a function, not \{\}"),
        ({"on_failure": 1.5}, r"WorkerConfig\.on_failure must be a function, not 1\.5"),
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
        ({"queue_backend": MemoryBackendConfig}, r"queue_backend must be .* not <class"),
        ({"execution_backend": 5}, r"must be the name of an executor or its configuration, .* 5$"),
        ({"execution_backend": "my gpu"}, r"the name of an executor must be 1 to 100 letters"),
        ({"execution_backend": ProcessExecutionConfig}, r"must be the name of an executor"),
        ({"execution_backends": "process"}, r"must be a list of executors: \['process'\]"),
        ({"execution_backends": [5]}, r"must be the name of an executor or its configuration"),
        ({"execution_backends": [MemoryBackendConfig()]}, r"the name of an executor must .* None"),
        ({"task_modules": 5}, r"QueueConfig\.task_modules must be a list of names, not 5"),
        ({"task_modules": [5]}, r"a module of QueueConfig\.task_modules must be of type str"),
        ({"worker": {}}, r"QueueConfig\.worker must be of type WorkerConfig, not \{\}"),
        ({"event_config": {}}, r"event_config must be of type QueueEventConfig or None, not \{\}"),
        ({"initialize_schedules": "no"}, r"initialize_schedules must be of type bool, not 'no'"),
        ({"coalesce": "no"}, r"QueueConfig\.coalesce must be of type bool, not 'no'"),
        ({"app_version": "x"}, r"QueueConfig\.app_version must be a whole number from 0"),
        ({"serializer": object()}, r"serializer must be an object with 'dumps' and 'loads'"),
        ({"serializer": JsonSerializer}, r"serializer must be an object with .* not <class"),
        ({"dependency_key": 5}, r"QueueConfig\.dependency_key must be of type str, not 5"),
        ({"default_timeout": 0}, r"default_timeout must be seconds .* at least 0\.001 s, not 0"),
    ],
)
def test_queue_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        QueueConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"enabled": "yes"}, r"QueueEventConfig\.enabled must be of type bool, not 'yes'"),
        ({"strict": 1}, r"QueueEventConfig\.strict must be of type bool, not 1"),
        ({"publish_task_channel": None}, r"publish_task_channel must be of type bool, not None"),
        ({"publish_queue_channel": 0}, r"publish_queue_channel must be of type bool, not 0"),
        ({"publish_global_lifecycle": ""}, r"publish_global_lifecycle must be of type bool"),
        ({"history": 5}, r"history must be of type EventHistoryConfig or None, not 5"),
        ({"history": True}, r"history must be of type EventHistoryConfig or None, not True"),
        (
            {"sink": object()},
            r"sink must be the name of an event sink, or an object with .*publish",
        ),
        ({"sink": ["memory", 5]}, r"QueueEventConfig\.sink must be .*, not 5"),
        ({"sink": (InMemoryEventSink,)}, r"QueueEventConfig\.sink must be .*, not <class"),
    ],
)
def test_event_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        QueueEventConfig(**settings)


def test_sinks_are_given_alone_or_together_by_name_or_as_they_are() -> None:
    sink = InMemoryEventSink()

    assert QueueEventConfig().sinks == ()
    assert QueueEventConfig(sink=sink).sinks == (sink,)
    assert QueueEventConfig(sink="broker").sinks == ("broker",)
    assert QueueEventConfig(sink=["broker", sink]).sinks == ("broker", sink)


def test_an_executor_may_be_named_or_configured() -> None:
    process = ProcessExecutionConfig()

    config = QueueConfig(execution_backend=process, execution_backends=["process", process])

    assert config.execution_backend is process


def test_durations_may_be_timedeltas() -> None:
    config = WorkerConfig(lease=timedelta(seconds=3), grace=timedelta(0))

    assert (config.lease, config.grace) == (3.0, 0.0)
