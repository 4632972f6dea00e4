"""Thousands of histories of real workers on a virtual clock, each reproducible from its seed.

``python -m litestar_queues_core.testing.simulation --histories 10000`` lives through as many, and
the line it prints for one that breaks a promise lives through that one again.
"""

from __future__ import annotations

from litestar_queues_core.testing.simulation.command import Report, simulate
from litestar_queues_core.testing.simulation.history import History
from litestar_queues_core.testing.simulation.referee import Violation

__all__ = ["History", "Report", "Violation", "simulate"]
