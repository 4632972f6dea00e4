"""Jobs in a database of SQLSpec: ``pip install 'litestar-queues[sqlspec]'``."""

from __future__ import annotations

from litestar_queues_core.errors import adapter

with adapter("sqlspec"):
    from litestar_queues_sqlspec import SQLSpecBackendConfig

__all__ = ["SQLSpecBackendConfig"]
