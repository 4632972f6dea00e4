"""The SQLite file of a SQLSpec configuration.

The store has connections of its own to it, on threads of its own: group commit needs them, and a
connection that is lent by a pool of another thread costs a change of threads for each statement.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from litestar_queues_core.errors import ConfigError

_FILE = "connection_config={'database': 'app.db'}"


def path_of(config: Any) -> Path:
    """Return the absolute path of the database of an ``AiosqliteConfig`` or a ``SqliteConfig``.

    Raises:
        ConfigError: It is no plain file.
    """
    named = config.connection_config.get("database")
    if not isinstance(named, str | Path) or not str(named):
        raise ConfigError(f"the SQLSpec configuration must name a file, {_FILE}, not {named!r}")
    name = str(named)
    parts = urlsplit(name) if name.startswith("file:") else None
    if ":memory:" in name or (parts and ("mode=memory" in parts.query or not parts.path)):
        raise ConfigError(
            "the SQLSpec configuration is of a database in memory, which one connection alone can "
            f"see: name a file, {_FILE}, or keep jobs in memory by queue_backend='memory'"
        )
    if parts and (parts.query or parts.netloc not in {"", "localhost"}):
        raise ConfigError(
            f"the queue cannot follow the parameters of {name!r}: name a plain path, {_FILE}"
        )
    return Path(unquote(parts.path) if parts else name).expanduser().absolute()
