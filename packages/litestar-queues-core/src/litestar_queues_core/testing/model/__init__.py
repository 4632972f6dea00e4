"""What any store must do, as an obvious model, and drivers that hold a store against it.

:func:`check_model` needs nothing but the standard library::

    report = await check_model(lambda: MyBackendConfig(database=random_name()).open())
"""

from __future__ import annotations

from litestar_queues_core.testing.model.checking import (
    ModelReport,
    check_model,
    run_script,
    shortest,
)
from litestar_queues_core.testing.model.choosing import Choices, Chooser, RandomChoices
from litestar_queues_core.testing.model.disagreement import Disagreement
from litestar_queues_core.testing.model.driver import Driver

__all__ = [
    "Choices",
    "Chooser",
    "Disagreement",
    "Driver",
    "ModelReport",
    "RandomChoices",
    "check_model",
    "run_script",
    "shortest",
]
