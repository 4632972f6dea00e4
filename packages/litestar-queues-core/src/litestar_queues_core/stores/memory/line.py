"""Things in order, smallest first, of which any can be taken out."""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush

Entry = tuple[int, int, str]
"""Rank, instant in milliseconds, and the name of the thing, by which it can be found."""

_SLACK = 64


class Line:
    """A priority queue in which what arrives in order costs no more than in a plain queue.

    Entries that arrive in order form a run; only those that do not go on a heap.  An entry that
    is taken out from the middle stays where it is, dead, until it surfaces or the dead outnumber
    the living.
    """

    __slots__ = ("_heap", "_live", "_run")

    def __init__(self) -> None:
        self._live: dict[str, Entry] = {}
        self._run: deque[Entry] = deque()
        self._heap: list[Entry] = []

    def __len__(self) -> int:
        return len(self._live)

    def push(self, entry: Entry) -> None:
        """Add *entry*, instead of an earlier one of that name."""
        self._live[entry[2]] = entry
        run = self._run
        if not run or entry > run[-1]:
            run.append(entry)
        else:
            heappush(self._heap, entry)

    def discard(self, name: str) -> None:
        """Take out the entry of that name, if there is one."""
        live = self._live
        if live.pop(name, None) is None:
            return
        if len(self._run) + len(self._heap) > 2 * len(live) + _SLACK:
            self._run = deque(sorted(live.values()))
            self._heap = []

    def first(self) -> Entry | None:
        """Return the smallest entry; ``None`` if there is none."""
        live, run, heap = self._live, self._run, self._heap
        while run or heap:
            in_run = run and (not heap or run[0] < heap[0])
            entry = run[0] if in_run else heap[0]
            if live.get(entry[2]) is entry:
                return entry
            if in_run:
                run.popleft()
            else:
                heappop(heap)
        return None

    @property
    def oldest_ms(self) -> int:
        """The earlier instant of the entry that arrived first and the one that goes first.

        That is the earliest of all, unless entries of different ranks arrive out of order.
        """
        ends = (next(iter(self._live.values())), self.first())
        return min(entry[1] for entry in ends if entry is not None)

    def pop(self) -> str | None:
        """Take out the smallest entry and return its name; ``None`` if there is none."""
        live, run, heap = self._live, self._run, self._heap
        while run or heap:
            entry = run.popleft() if run and (not heap or run[0] < heap[0]) else heappop(heap)
            name = entry[2]
            if live.get(name) is entry:
                del live[name]
                return name
        return None

    def pop_due(self, now_ms: int, limit: int) -> list[str]:
        """Take out at most *limit* entries whose instant has come; all must be of one rank."""
        names: list[str] = []
        while len(names) < limit and (entry := self.first()) is not None and entry[1] <= now_ms:
            names.append(entry[2])
            self.pop()
        return names
