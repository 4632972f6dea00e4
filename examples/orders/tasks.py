"""What is done in the background."""

from __future__ import annotations

from models import Invoice, Order
from sqlalchemy.ext.asyncio import AsyncSession

from litestar_queues import TaskExecutionContext, task

PRICES = {"book": 1900, "lamp": 4500}


@task("orders.invoice", retries=5)
async def write_invoice(order_id: int, *, _task_context: TaskExecutionContext) -> int:
    """Write the invoice of an order, and complete the job, in one transaction.

    If the worker dies before the commit there is neither, and the job runs again.  If it dies after
    it, the job has completed.  So there is one invoice, however often this starts.
    """
    session: AsyncSession
    async with _task_context.transaction() as session:
        order = await session.get_one(Order, order_id)
        invoice = Invoice(order_id=order_id, cents=PRICES[order.item] * order.quantity)
        session.add(invoice)
        await session.flush()
        _task_context.set_result(invoice.cents)
    return invoice.cents
