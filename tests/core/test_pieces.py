"""How much one call of maintenance does."""

from __future__ import annotations

from litestar_queues_core.pieces import AT_ONCE, Pieces
from litestar_queues_core.settlements import MaintenancePolicy


class Clock:
    """Time passes while a piece is done."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds

    def do(self, pieces: Pieces, *, jobs: int, each: float) -> list[int]:
        """Do a duty with so many *jobs*, whose pieces take *each* seconds; return their sizes."""
        sizes: list[int] = []
        for size in pieces.of_duty():
            sizes.append(size)
            self.seconds += each
            jobs -= size
            if jobs < 0:
                break
        return sizes


def test_no_piece_is_large_and_the_limit_is_kept() -> None:
    clock = Clock()
    pieces = Pieces(MaintenancePolicy(limit=2 * AT_ONCE + 7), clock=clock)

    assert clock.do(pieces, jobs=10_000, each=0.0) == [AT_ONCE, AT_ONCE, 7]
    assert pieces.more


def test_nothing_is_left_of_a_duty_that_is_done() -> None:
    clock = Clock()
    pieces = Pieces(MaintenancePolicy(), clock=clock)

    assert clock.do(pieces, jobs=AT_ONCE + 1, each=0.001) == [AT_ONCE, AT_ONCE]
    assert not pieces.more


def test_each_duty_has_one_piece_once_the_time_is_over() -> None:
    clock = Clock()
    pieces = Pieces(MaintenancePolicy(seconds=0.05), clock=clock)
    clock.seconds += 60.0  # before the first duty, even

    assert [clock.do(pieces, jobs=10_000, each=0.1) for _ in range(3)] == [[AT_ONCE]] * 3
    assert pieces.more


def test_further_pieces_are_begun_while_there_is_time() -> None:
    clock = Clock()
    pieces = Pieces(MaintenancePolicy(seconds=0.05), clock=clock)

    assert clock.do(pieces, jobs=10_000, each=0.03) == [AT_ONCE] * 2
    assert clock.do(pieces, jobs=1, each=0.03) == [AT_ONCE]
