"""What the errors of a server, and of a way to it, mean to a queue."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator

from litestar_queues_core.errors import (
    ConfigError,
    QueueError,
    SchemaError,
    StoreError,
    StoreUnavailable,
)
from litestar_queues_resp.client import ScriptMissing
from litestar_queues_resp.layout import VERSION


class TooLarge(StoreError):
    """A value is larger than the server takes; nothing was sent, so nothing has happened.

    Attributes:
        most: How many bytes the server takes.
    """

    def __init__(self, place: str, *, size: int, most: int) -> None:
        super().__init__(
            f"{place}: a value takes {size} bytes, the server takes {most} (proto-max-bulk-len): "
            "raise it, or store the data elsewhere and pass a reference to it"
        )
        self.most: int = most


_LATER = {
    "ASK": "the slot of the queue is being moved to another node of the cluster",
    "BUSY": "it is busy with a script that takes long (SCRIPT KILL ends it)",
    "CLUSTERDOWN": "the cluster is down: look at CLUSTER INFO",
    "LOADING": "it is still loading its data",
    "MASTERDOWN": "it is a replica that has lost its primary",
    "MISCONF": "it cannot write to its disk: look at its log",
    "MOVED": (
        "another node of a cluster has the slot of the queue; if it says so again and again, "
        "say cluster=True"
    ),
    "NOREPLICAS": "fewer replicas are connected than min-replicas-to-write asks for",
    "READONLY": "it is a read-only replica, or has become one",
    "TRYAGAIN": "the slot of the queue is being moved to another node of the cluster",
    "UNBLOCKED": "it has become a replica",
    "UNKILLABLE": "it is busy with a script that takes long and has written",
}
_NEVER = {
    "AUTH": "check the user name and the password",
    "DENIED": "it is in protected mode: set a password, or let it bind to this network",
    "NOPERM": (
        "the user may not do that: allow it the commands and keys of the queue, as in "
        "ACL SETUSER name +@all -@admin ~{prefix}*"
    ),
}
_SYNONYMS = {"NOAUTH": "AUTH", "WRONGPASS": "AUTH"}
_CLASSES = {
    "AskError": "ASK",
    "AuthenticationError": "AUTH",
    "BusyLoadingError": "LOADING",
    "ClusterDownError": "CLUSTERDOWN",
    "MasterDownError": "MASTERDOWN",
    "MovedError": "MOVED",
    "NoPermissionError": "NOPERM",
    "NoScriptError": "NOSCRIPT",
    "OutOfMemoryError": "OOM",
    "ReadOnlyError": "READONLY",
    "TryAgainError": "TRYAGAIN",
}
"""Errors whose text the libraries rob of the word that it began with."""

ELSEWHERE = frozenset({"ASK", "CLUSTERDOWN", "MASTERDOWN", "MOVED", "READONLY", "UNBLOCKED"})
"""What a server says that is not, or no longer, the one to talk to."""

_IN_SCRIPT = re.compile(r"(?:ERR )?Error running script .*?-([A-Z]+) ")  # as Redis 6.2 puts it
_ALONE = re.compile(r"([A-Z]+)\b")


def code_of(error: BaseException) -> str:
    """Return the word that says what kind of error a server has answered, or nothing."""
    for parent in type(error).__mro__:
        if parent.__name__ in _CLASSES:
            return _CLASSES[parent.__name__]
    found = _IN_SCRIPT.match(str(error)) or _ALONE.match(str(error))
    return _SYNONYMS.get(found[1], found[1]) if found else ""


def translated(error: BaseException, place: str) -> QueueError:
    """Return the error that tells a caller what a library's *error* means, and what to do.

    Args:
        error: What was raised.
        place: Host and port of the server.
    """
    if isinstance(error, QueueError):
        return error
    made = _translated(error, place)
    made.__cause__ = error
    return made


def _translated(error: BaseException, place: str) -> QueueError:
    code, text = code_of(error), f"{place}: {error}"
    if code in _LATER:
        return StoreUnavailable(f"{text}; {_LATER[code]}")
    if code in _NEVER:
        return ConfigError(f"{text}; {_NEVER[code]}")
    if code == "NOSCRIPT":
        return ScriptMissing(text)
    if code == "LAYOUT":
        return SchemaError(
            f"{text}; this library knows layout {VERSION} only: upgrade it, or name another prefix"
        )
    if code == "OOM":
        return StoreError(
            f"{text}; the server is out of memory: raise its maxmemory, or keep fewer finished "
            "jobs (retention)"
        )
    return _connecting(error, text) or _refused(error, text)


def _connecting(error: BaseException, text: str) -> QueueError | None:
    """Return what it means that a server cannot be reached; ``None`` if it has answered."""
    for cause in _chain(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return ConfigError(
                f"{text}; the certificate of the server is not trusted: name the authority that "
                "has signed it, as ssl_ca_certs"
            )
        if isinstance(cause, ssl.SSLError):
            return ConfigError(f"{text}; does it speak TLS?  If not, use redis://")
    names = {parent.__name__ for parent in type(error).__mro__}
    answered = {"ResponseError", "DataError"} & names
    return None if answered else StoreUnavailable(text)


def _refused(error: BaseException, text: str) -> QueueError:
    if "DB index" in str(error):
        return ConfigError(f"{text}; the server has no database of that number")
    if "not allowed in cluster mode" in str(error):
        return ConfigError(f"{text}; a cluster has the database 0 only: say /0 and cluster=True")
    return StoreError(text)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
