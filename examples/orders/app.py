"""A shop: an order and the job that writes its invoice are stored in one transaction.

``litestar run`` serves it, ``litestar queues worker`` does the work.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from advanced_alchemy.extensions.litestar import (
    AsyncSessionConfig,
    SQLAlchemyAsyncConfig,
    SQLAlchemyPlugin,
)
from litestar import Litestar, get, post
from litestar.di import NamedDependency
from litestar.exceptions import ClientException, NotFoundException
from litestar.params import FromPath, JSONBody
from models import Invoice, Order
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from tasks import PRICES, write_invoice

from litestar_queues import QueueConfig, QueuePlugin, QueueService, WorkerConfig
from litestar_queues.backends.advanced_alchemy import AdvancedAlchemyBackendConfig

Database = NamedDependency[AsyncSession]
Queue = NamedDependency[QueueService]


@dataclass
class Wish:
    """What a client sends."""

    item: str
    quantity: int


@dataclass
class OrderView:
    """What a client sees of an order."""

    id: int
    item: str
    quantity: int
    invoices: list[int]


@post("/orders")
async def place_order(
    data: JSONBody[Wish], db_session: Database, queue_service: Queue
) -> dict[str, int | str]:
    """Take an order and have its invoice written: both, or neither.

    The commit is ours.  A commit that happens after the handler has returned can fail without the
    client being told.
    """
    async with db_session.begin():
        order = Order(item=data.item, quantity=data.quantity)
        db_session.add(order)
        await db_session.flush()
        job = await queue_service.enqueue(write_invoice, order.id, session=db_session)
        if data.item not in PRICES:
            raise ClientException(f"there is no {data.item} in this shop")
    return {"order": order.id, "job": job.id}


@get("/orders/{order_id:int}")
async def show_order(order_id: FromPath[int], db_session: Database) -> OrderView:
    """Show an order, and what was invoiced for it."""
    order = await db_session.get(Order, order_id)
    if order is None:
        raise NotFoundException(f"there is no order {order_id}")
    cents = await db_session.scalars(select(Invoice.cents).where(Invoice.order_id == order_id))
    return OrderView(
        id=order.id, item=order.item, quantity=order.quantity, invoices=list(cents.all())
    )


@get("/jobs/{job_id:str}")
async def show_job(job_id: FromPath[str], queue_service: Queue) -> dict[str, str | int | None]:
    """Show where a job stands."""
    job = await queue_service.get(job_id)
    if job is None:
        raise NotFoundException(f"no job has the id {job_id}")
    return {"status": job.status, "result": job.result, "error": job.error}


database = SQLAlchemyAsyncConfig(
    connection_string=os.environ.get(
        "ORDERS_DATABASE", "postgresql+asyncpg://app@localhost/orders"
    ),
    session_config=AsyncSessionConfig(expire_on_commit=False),
)
queues = QueueConfig(
    queue_backend=AdvancedAlchemyBackendConfig(config=database),
    worker=WorkerConfig(placement="external"),
)
app = Litestar(
    [place_order, show_order, show_job],
    plugins=[SQLAlchemyPlugin(config=database), QueuePlugin(queues)],
)
