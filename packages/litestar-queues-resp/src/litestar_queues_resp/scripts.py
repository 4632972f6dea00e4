"""The scripts: their texts, and the names by which a server knows them."""

from __future__ import annotations

from functools import cache
from hashlib import sha1
from pathlib import Path

from litestar_queues_core.lifecycle import KEPT_ATTEMPTS
from litestar_queues_resp import layout

_FOLDER = Path(__file__).parent / "lua"
_LIBRARY = ("base", "jobs", "ends", "holding", "looking", "taking", "events")

BYTES_AT_ONCE = 8 * 2**20
"""Of larger requests no script takes, or answers with, more; but one at least."""

CONSTANTS = {
    "LAYOUT": layout.VERSION,
    "KEY": layout.KEY,
    "EXPIRES": layout.EXPIRES,
    "META": layout.META,
    "DROPPED": layout.DROPPED,
    "NO_RESULT": layout.NO_RESULT,
    "BIG": layout.BIG,
    "COMPLETED": 4,
    "FAILED": 5,
    "CANCELLED": 6,
    "EXPIRED": 7,
    "STARTED": layout.STARTED,
    "FINISHED": layout.FINISHED,
    "RANK": 2**42,  # priorities weigh more than instants, and both are exact in a double
    "BYTES": BYTES_AT_ONCE,
    "STEP": 32,  # so many requests are read before their size is looked at
    "CHUNK": 4000,  # arguments of one C function; it takes up to 8000
    "KEPT": KEPT_ATTEMPTS,
    "BIG_BYTES": 1024,  # a completed job whose request is longer does not keep its payload
    "PIECE": 2000,  # the journal of all jobs is cut into pieces of so many bytes
    "SPARE": 10_000,  # it may be longer by so many ids than it must
    "SOON": 5000,  # a job due within so many ms counts as waiting in its lane
    "MARKER_MS": 60_000,  # a marker that nobody takes goes by itself
    "LANES": 100,  # so many unnamed lanes are looked at in one exchange
    "PROMOTED": 500,  # so many scheduled jobs at most are promoted by one exchange
    "CHAIN_MS": 50,  # a worker that leaves work behind says so no more often
    "FOREIGN_MS": 1000,  # nor one that leaves work behind which it cannot do
    "ROUNDS": 8,  # so often one exchange looks for jobs of a lane that have not expired
    "BUSY_MS": 1000,  # a busy lease is extended no more often
    "KEPT_MS": 60_000,  # no job is pruned so soon after its end
    "DEAD_MS": 86_400_000,  # a dead lease is remembered for so long
}


class LuaScript:
    """A script and its name.

    Args:
        name: Of its file, or of the folder with its parts.
    """

    def __init__(self, name: str) -> None:
        library = [_FOLDER / "lib" / f"{part}.lua" for part in _LIBRARY]
        files = library + (sorted((_FOLDER / name).glob("*.lua")) or [_FOLDER / f"{name}.lua"])
        constants = "".join(f"local {key} = {value}\n" for key, value in CONSTANTS.items())
        self.name: str = name
        self.text: str = constants + "\n".join(path.read_text() for path in files)
        self.sha: str = sha1(self.text.encode(), usedforsecurity=False).hexdigest()


@cache
def script(name: str) -> LuaScript:
    """Return the script in the file of that name; read once."""
    return LuaScript(name)
