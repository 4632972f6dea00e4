"""Connections of known drivers as :class:`litestar_queues_sql.driver.Connection`.

For adapters to share, which open or borrow the connections.  A module here may need its driver;
whoever imports it has one of its connections.
"""

from __future__ import annotations
