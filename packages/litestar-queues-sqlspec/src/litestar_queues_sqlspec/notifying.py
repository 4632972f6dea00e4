"""How a SQLSpec configuration reaches a PostgreSQL server itself, past a pooler of transactions."""

from __future__ import annotations

from typing import Any


def direct(config: Any) -> Any:
    """Return the configuration of connections that can hear notifications; ``None`` if none can."""
    features = config.driver_features
    if features.get("direct_dsn"):
        return config.derive_direct_config()
    names = ("pgbouncer", "pgbouncer_mode")
    pooled = features.get("pooler_mode") in {"transaction", "statement"}
    return None if pooled or any(map(features.get, names)) else config
