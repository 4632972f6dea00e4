"""The one version of every litestar-queues distribution."""

from __future__ import annotations

__version__ = "0.1.0"
