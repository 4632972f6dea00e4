"""Jobs in the database of a SQLSpec configuration."""

from __future__ import annotations

from litestar_queues_sqlspec.config import SQLSpecBackendConfig

__all__ = ["SQLSpecBackendConfig"]
