"""The store on MySQL and MariaDB, for adapters to open on their connections."""

from __future__ import annotations

from litestar_queues_sql.mysql.opening import open_mysql
from litestar_queues_sql.mysql.store import MySQLStore

__all__ = ["MySQLStore", "open_mysql"]
