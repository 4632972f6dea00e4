from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import litestar_queues
import litestar_queues_core
from litestar_queues import MissingAdapterError

BACKENDS = {
    "litestar_queues.backends.redis": "redis",
    "litestar_queues.backends.valkey": "valkey",
    "litestar_queues.backends.sqlspec": "sqlspec",
    "litestar_queues.backends.advanced_alchemy": "advanced-alchemy",
    "litestar_queues.execution.cloudrun": "cloudrun",
}


def installed(module: str) -> bool:
    name = f"litestar_queues_{module.rpartition('.')[2]}"
    try:
        import_module(name)
    except ModuleNotFoundError:
        return False
    return True


def test_everything_of_the_core_is_here_under_the_same_name() -> None:
    for name in litestar_queues_core.__all__:
        assert name in litestar_queues.__all__
        assert getattr(litestar_queues, name) is getattr(litestar_queues_core, name)


def test_every_public_name_can_be_had() -> None:
    assert [name for name in litestar_queues.__all__ if not hasattr(litestar_queues, name)] == []


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Queue'"):
        litestar_queues.Queue  # noqa: B018


def test_tasks_and_their_events_are_written_without_litestar() -> None:
    code = (
        "import sys; from litestar_queues import task, QueueService; "
        "from litestar_queues.events import publish_task_log; "
        "from litestar_queues.backends.sqlite import SQLiteBackendConfig; "
        "from litestar_queues.backends.memory import MemoryBackendConfig; "
        "from litestar_queues.execution.local import LocalExecutor; "
        "print('litestar' in sys.modules, 'sqlalchemy' in sys.modules)"
    )

    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert result.stdout.split() == ["False", "False"]


@pytest.mark.parametrize(("module", "extra"), BACKENDS.items(), ids=BACKENDS.values())
def test_an_adapter_that_is_not_built_yet_is_named(module: str, extra: str) -> None:
    if installed(module):
        pytest.skip("it is installed")

    with pytest.raises(MissingAdapterError) as raised:
        import_module(module)

    assert str(raised.value) == (
        f"the {extra!r} adapter is not in this version of litestar-queues; choose another"
    )
