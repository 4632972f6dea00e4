"""Orders and their invoices."""

from __future__ import annotations

from advanced_alchemy.base import BigIntBase
from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column


class Order(BigIntBase):
    """What somebody wants."""

    __tablename__ = "orders"

    item: Mapped[str]
    quantity: Mapped[int]


class Invoice(BigIntBase):
    """What they owe for it; an order must never have two."""

    __tablename__ = "invoices"

    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"), index=True)
    cents: Mapped[int]
