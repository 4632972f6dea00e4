"""Support for the tests of applications and of third-party backends."""

from __future__ import annotations

import sys

if "pytest" in sys.modules:  # let a failed assert of the suite show its values
    sys.modules["pytest"].register_assert_rewrite("litestar_queues_core.testing.conformance")

from litestar_queues_core.testing.claimer import Claimer
from litestar_queues_core.testing.clock import (
    FakeClock,
    SupportsClockShift,
    shift_clock,
)
from litestar_queues_core.testing.conformance import (
    BackendConformance,
    StoreConformance,
)
from litestar_queues_core.testing.crashing import (
    CrashPoint,
    CrashReport,
    CrashTestFailure,
    crashtest,
)
from litestar_queues_core.testing.doomed import SimulatedCrash
from litestar_queues_core.testing.jobs import make_job, make_jobs, make_spec, settled
from litestar_queues_core.testing.runs import assert_enqueued, drain, perform_job

__all__ = [
    "BackendConformance",
    "Claimer",
    "CrashPoint",
    "CrashReport",
    "CrashTestFailure",
    "FakeClock",
    "SimulatedCrash",
    "StoreConformance",
    "SupportsClockShift",
    "assert_enqueued",
    "crashtest",
    "drain",
    "make_job",
    "make_jobs",
    "make_spec",
    "perform_job",
    "settled",
    "shift_clock",
]
