"""The model check catches every broken store, with a short script that says what is wrong."""

from __future__ import annotations

import pytest
from tests.broken import stores
from tests.broken.stores import BrokenStore

from litestar_queues_core.testing.model import Disagreement, check_model

CONTROLS: dict[type[BrokenStore], str] = {
    stores.ForgetsTheDelivery: "a settlement counts only under its fence",
    stores.ForgetsTheLease: "a settlement counts only under its fence",
    stores.ReplaysSettlements: "a replay",
    stores.PopsBeforeLeasing: "a settlement counts only under its fence",
    stores.LosesAnAnswer: "a replay gives every job that the lease holds",
    stores.RescuesLiveLeases: "only the rescue of a dead lease takes a job away",
    stores.RescuesHalfALease: "who lost a lease is told",
    stores.LetsARetryWin: "cancel beats waiting",
    stores.PromotesTwice: "a job stands where its life has led it: status",
    stores.IgnoresAKey: "a key is held by one job at a time",
    stores.FreesAKeyTwice: "a key is held by one job at a time",
    stores.DropsFollowUps: "a follow-up is enqueued with its settlement",
    stores.ReusesADelivery: "(a job stands where .* delivery|cancel beats)",
    stores.LosesWhatALeaseHeld: "a job stands where its life has led it: status",
    stores.ForgetsAtOnce: "a finished job is known for a minute",
    stores.CancelsInVain: "a job stands where its life has led it: cancel_requested",
    stores.SkipsTheQueue: "jobs of a lane come in order",
    stores.WritesOffPutBacks: "a job stands where its life has led it: attempt, put_backs",
    stores.AnnouncesTheWrongEnd: "the events of a settlement are kept with it",
}
"""Each broken store, and the promise which the model check says it breaks."""


def test_every_broken_store_is_a_control() -> None:
    broken = {one for one in vars(stores).values() if isinstance(one, type)}

    assert {one for one in broken if issubclass(one, BrokenStore)} - {BrokenStore} == set(CONTROLS)


@pytest.mark.parametrize("broken", CONTROLS, ids=lambda one: one.__name__)
async def test_the_model_check_catches(broken: type[BrokenStore]) -> None:
    with pytest.raises(Disagreement, match=f"^{CONTROLS[broken]}") as caught:
        await check_model(broken.fresh, seed="controls", scripts=100)

    assert len(caught.value.script) <= 8
