"""Which adapters of SQLSpec are supported, and which are not yet."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeAlias

from litestar_queues_core.errors import ConfigError
from litestar_queues_sql.database import Dialect
from litestar_queues_sql.mysql.dialect import MYSQL
from litestar_queues_sql.postgres.dialect import POSTGRES
from litestar_queues_sql.sqlite.dialect import SQLITE

System: TypeAlias = Literal["postgres", "sqlite", "mysql"]

SYSTEMS: dict[str, System] = {
    "AsyncpgConfig": "postgres",
    "PsycopgAsyncConfig": "postgres",
    "PsycopgSyncConfig": "postgres",
    "AiosqliteConfig": "sqlite",
    "SqliteConfig": "sqlite",
    "AsyncmyConfig": "mysql",
    "AiomysqlConfig": "mysql",
}
"""Classes of configurations, and the systems that they lead to."""

DIALECTS: dict[System, Dialect] = {"postgres": POSTGRES, "sqlite": SQLITE, "mysql": MYSQL}

_HERE = "SQLSpecBackendConfig.config"


class Adapter(NamedTuple):
    """An adapter that is supported.

    Attributes:
        name: Name of its module in SQLSpec, and of ours.
        kind: Name of the class of its configurations.
    """

    name: str
    kind: str

    @property
    def system(self) -> System:
        """The database system that it leads to."""
        return SYSTEMS[self.kind]

    @property
    def dialect(self) -> Dialect:
        """The SQL of that system."""
        return DIALECTS[self.system]


def adapter_of(config: object) -> Adapter:
    """Return the adapter that a configuration belongs to.

    Raises:
        ConfigError: It is no configuration of SQLSpec, or of an adapter that is not supported.
    """
    for kind in type(config).__mro__:
        place = kind.__module__.split(".")
        if place[:2] == ["sqlspec", "adapters"]:
            return _supported(place[2], kind)
    raise ConfigError(
        f"{_HERE} must be a configuration of SQLSpec, such as AsyncpgConfig(...), not {config!r}"
    )


def _supported(name: str, kind: type[Any]) -> Adapter:
    if kind.__name__ not in SYSTEMS:
        *others, last = SYSTEMS
        raise ConfigError(
            f"{_HERE} is a {kind.__name__} of the SQLSpec adapter {name!r}, which is not supported "
            f"yet; supported are {', '.join(others)} and {last}"
        )
    return Adapter(name, kind.__name__)
