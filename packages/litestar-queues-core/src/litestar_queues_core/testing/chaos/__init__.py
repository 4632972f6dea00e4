"""Killing, stopping, filling and cutting, with real processes, and counting what is left.

``python -m litestar_queues_core.testing.chaos --store sqlite`` runs producers and workers as
processes of their own.
"""

from __future__ import annotations

from litestar_queues_core.testing.chaos.disk import SmallDisk
from litestar_queues_core.testing.chaos.proxy import Proxy
from litestar_queues_core.testing.chaos.targets import (
    ChaosTarget,
    Ledger,
    SupportsDisk,
    SupportsLedger,
    SupportsProxy,
    SupportsServer,
)

__all__ = [
    "ChaosTarget",
    "Ledger",
    "Proxy",
    "SmallDisk",
    "SupportsDisk",
    "SupportsLedger",
    "SupportsProxy",
    "SupportsServer",
]
