"""Exchanges of the leases that are held in this process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar_queues_core.errors import (
    LeaseLost,
    SettlementRefused,
    StaleExchange,
    StoreUnavailable,
)
from litestar_queues_core.ids import LeaseId
from litestar_queues_core.settlements import NOTHING, Exchange, Kind, Settlement, Wants
from litestar_queues_resp.calling import Caller
from litestar_queues_resp.client import Word
from litestar_queues_resp.errors import TooLarge
from litestar_queues_resp.exchanging import REMOTE, Places, exchange_words, read_exchange
from litestar_queues_resp.taking import UNENCODABLE

_LOST, _STALE, _NEW, _REPLAY = -1, -2, 0, 1


class Exchanges:
    """Does exchanges, and remembers where the leases of this process hold their jobs.

    Args:
        caller: Runs the script.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._places: dict[LeaseId, Places] = {}
        self._served = ""
        self._turn = 0

    def forget(self, lease: LeaseId) -> None:
        """The lease is over."""
        self._places.pop(lease, None)

    async def exchange(
        self, lease: LeaseId, seq: int, settlements: Sequence[Settlement], wants: Wants
    ) -> Exchange:
        """See :meth:`litestar_queues_core.protocols.Store.exchange`."""
        remote = [one for one in settlements if one.kind in REMOTE]
        local = [one for one in settlements if one.kind not in REMOTE] if remote else settlements
        answer = await self._ask(lease, seq, local, wants)
        if answer[0] == _REPLAY:
            await self._complete(lease, answer[7])
        places = self._places.setdefault(lease, {})
        for one in local:
            if one.kind is not Kind.PROGRESS:
                places.pop(one.id, None)
        if answer[0] == _NEW and wants.others:
            self._served = str(answer[3], "utf-8")
        return read_exchange(answer, places, [(one.id, one.delivery) for one in remote])

    async def _ask(
        self, lease: LeaseId, seq: int, settlements: Sequence[Settlement], wants: Wants
    ) -> list[Any]:
        words = self._words(lease, settlements, wants)
        self._turn += 1
        try:
            answer: list[Any] = await self._caller.run_words(
                "exchange", [lease, seq, self._turn, *words]
            )
        except TooLarge as error:
            guilty = [one.id for one in settlements if len(one.value or b"") >= error.most]
            raise SettlementRefused(guilty or None, str(error)) from error
        if answer[0] == _LOST:
            self.forget(lease)
            raise LeaseLost(lease)
        if answer[0] == _STALE:
            raise StaleExchange(lease, seq, answer[1])
        return answer

    async def _complete(self, lease: LeaseId, claims: Sequence[list[Any]]) -> None:
        """Ask for what was too much for one answer."""
        for _, together, *told in claims:
            while 16 * len(told[0]) < len(together):
                found = await self._caller.run("requests", together[16 * len(told[0]) :])
                for known, more in zip(told, found, strict=False):
                    known.extend(more)
            if None in told[0]:
                raise StoreUnavailable(f"what lease {lease} holds has been lost meanwhile")

    def _words(
        self, lease: LeaseId, settlements: Sequence[Settlement], wants: Wants
    ) -> Sequence[Word]:
        places = self._places.get(lease, {})
        try:
            return exchange_words(settlements, wants, self._served, places)
        except UNENCODABLE as error:
            guilty = [one.id for one in settlements if not _has_place(one)]
            raise SettlementRefused(guilty or None, str(error)) from error


def _has_place(one: Settlement) -> bool:
    """Return whether the layout has a place for all that a settlement says."""
    try:
        exchange_words([one], NOTHING, "", {})
    except UNENCODABLE:
        return False
    return True
