"""Jobs in a database of SQLSpec: ``pip install 'litestar-queues[sqlspec]'``."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from litestar_queues_core.errors import adapter

with adapter("sqlspec"):
    SQLSpecBackendConfig: type[Any] = import_module("litestar_queues_sqlspec").SQLSpecBackendConfig

__all__ = ["SQLSpecBackendConfig"]
