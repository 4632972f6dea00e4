"""A disk that is small enough to be filled."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

MIB = 1024 * 1024
_FILLER = "filler"


class SmallDisk:
    """A file system in memory, mounted at a directory.

    Only what runs in a mount namespace of its own (:func:`run_apart`) should mount it: then it
    is gone with the last process that sees it.

    Args:
        directory: Where; made if it is missing.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def mount(self, *, mebibytes: int) -> None:
        """Put the disk there.

        Raises:
            OSError: The system does not allow it.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        size = f"size={mebibytes}m,mode=0777"
        _call(["mount", "-t", "tmpfs", "-o", size, "chaos", str(self.directory)])

    def fill(self) -> None:
        """Leave no room."""
        filler = os.open(self.directory / _FILLER, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            for piece in (MIB, 4096, 1):
                _write_until_full(filler, b"\0" * piece)
        finally:
            os.close(filler)

    def free(self) -> None:
        """Let there be room again."""
        with suppress(FileNotFoundError):
            (self.directory / _FILLER).unlink()


def unmount_below(directory: Path) -> None:
    """Take away the disks that are mounted in a directory."""
    for place in [place for place in directory.iterdir() if place.is_mount()]:
        _call(["umount", str(place)])


def _write_until_full(file: int, piece: bytes) -> None:
    try:
        while os.write(file, piece):
            pass
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise


def _call(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise OSError(done.stderr.strip() or f"{command[0]} ended with {done.returncode}")


def run_apart(command: Sequence[str]) -> str:
    """Become *command*, in a mount namespace of its own; return why that is not possible.

    As root nothing else changes; anybody else is root in a user namespace besides, which most
    systems allow.
    """
    if sys.platform != "linux":
        return "only Linux can give a run a disk of its own"
    reasons: list[str] = []
    for how in (["--mount"], ["--user", "--map-root-user", "--mount"]):
        unshare = ["unshare", *how, "--propagation", "private"]
        try:
            _call([*unshare, "mount", "-t", "tmpfs", "chaos", tempfile.gettempdir()])
        except OSError as error:
            reasons.append(str(error))
        else:
            os.execvp(unshare[0], [*unshare, *command])  # noqa: S606
    return "no disk can be mounted here: " + "; ".join(dict.fromkeys(reasons))
