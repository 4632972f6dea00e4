"""How a server is reached."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from litestar_queues_core.errors import ConfigError, QueueError, StoreUnavailable
from litestar_queues_resp.client import CALL_SECONDS
from litestar_queues_resp.errors import (
    CERTIFICATE_REFUSED,
    CERTIFICATE_WANTED,
    lost,
    timed_out,
    translated,
)
from litestar_queues_resp.library import BlockingConnection, Connection, Kind, Library

KEPT = frozenset(
    {
        *("client_name", "credential_provider", "db", "host", "password", "path", "port"),
        *("socket_keepalive", "socket_keepalive_options", "socket_type", "username"),
    }
)
"""Settings of a connection that say how a server is reached; so do those that begin with ssl_."""

OURS = frozenset(
    {
        *("decode_responses", "encoding", "encoding_errors", "health_check_interval"),
        *("legacy_responses", "max_connections", "protocol", "retry_on_timeout"),
        *("socket_connect_timeout", "socket_read_size", "socket_timeout", "timeout"),
    }
)
"""Settings in a URL which other users of it may need, and which a queue chooses by itself."""

SCHEMES: Mapping[str, Kind] = {
    "redis": "tcp",
    "rediss": "tls",
    "unix": "unix",
    "valkey": "tcp",
    "valkeys": "tls",
}
_FILES = ("ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One server.

    Attributes:
        kind: What is spoken.
        settings: Those of a connection that are :data:`KEPT`.
    """

    kind: Kind
    settings: Mapping[str, Any]

    def __str__(self) -> str:
        if self.kind == "unix":
            return str(self.settings.get("path"))
        return f"{self.settings.get('host', 'localhost')}:{self.settings.get('port', 6379)}"

    def at(self, host: str, port: int) -> Endpoint:
        """Return the server at another address that is reached in the same way."""
        return Endpoint(self.kind, {**self.settings, "host": host, "port": port})

    def connection(self, library: Library, protocol: int, *, within: float) -> Connection:
        """Return a connection, not connected yet, whose answers have no deadline."""
        chosen = self._chosen(protocol, within)
        return library.connections[self.kind](**chosen, socket_timeout=None)

    def blocking(self, library: Library, protocol: int, *, within: float) -> BlockingConnection:
        """Return a blocking one, whose answers have the deadline of calls."""
        chosen = self._chosen(protocol, within)
        return library.blocking[self.kind](**chosen, socket_timeout=CALL_SECONDS)

    def _chosen(self, protocol: int, within: float) -> dict[str, Any]:
        return {**self.settings, "protocol": protocol, "socket_connect_timeout": within}

    def unreachable(self, error: BaseException, *, new: bool) -> QueueError:
        """Return what it means that connecting has failed.

        Args:
            error: What was raised.
            new: Whether the server has never let us in: what is spoken may be wrong then.
        """
        made = translated(error, str(self))
        hint = self._hint(error) if new and isinstance(made, StoreUnavailable) else None
        if hint is not None:
            made = StoreUnavailable(f"{made}; {hint}")
            made.__cause__ = error
        return made

    def _hint(self, error: BaseException) -> str | None:
        """Return a question that may help, if the other side has given no answer but hung up."""
        if self.kind == "tcp":
            return "does it want TLS?  Then use rediss://" if lost(error) else None
        if self.kind == "unix" or not (lost(error) or timed_out(error)):
            return None
        if " connecting to " in str(error):
            return "does it speak TLS?  If not, use redis://"
        return CERTIFICATE_REFUSED if "ssl_certfile" in self.settings else CERTIFICATE_WANTED

    def check(self, library: Library, setting: str) -> None:
        """Look for what can be found out without a server.

        Raises:
            ConfigError: *setting* holds what the library does not take.
        """
        try:
            self.connection(library, 2, within=CALL_SECONDS)
            self.blocking(library, 2, within=CALL_SECONDS)
        except Exception as error:
            raise ConfigError(f"{setting}: {library.name} does not take it: {error}") from error

    def check_files(self) -> None:
        """Look whether certificates are where they are said to be.

        Raises:
            ConfigError: One is not.
        """
        for name in _FILES:
            path = self.settings.get(name)
            if path is not None and not Path(path).exists():
                raise ConfigError(f"{name}: there is no {path}")


def kept(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of a connection's settings that say how a server is reached."""
    return {
        name: value for name, value in settings.items() if name in KEPT or name.startswith("ssl_")
    }


def refuse_unknown(settings: Mapping[str, Any], setting: str) -> None:
    """Refuse settings that would have no effect.

    Raises:
        ConfigError: There are some.
    """
    unknown = set(map(str, settings)) - set(kept(settings))
    if unknown:
        raise ConfigError(
            f"{setting}: {', '.join(sorted(unknown))} would have no effect; there may be "
            f"{', '.join(sorted(KEPT))}, and what begins with ssl_"
        )


def from_url(url: object, library: Library, setting: str) -> Endpoint:
    """Return the server that a URL names; its password is in no message.

    Raises:
        ConfigError: It names none.
    """
    parts = _split(url, setting)
    if parts.scheme not in SCHEMES:
        raise ConfigError(
            f"{setting} must begin with redis://, rediss://, valkey://, valkeys:// or unix://, "
            f"not with {parts.scheme!r}"
        )
    if parts.scheme == "unix" and not parts.path:
        raise ConfigError(f"{setting} must name a socket: unix:///path/of/the/socket?db=0")
    if parts.scheme != "unix" and not re.fullmatch(r"(/\d*)?", parts.path):
        raise ConfigError(
            f"{setting} must end with the number of a database, as in redis://host:6379/0, "
            f"not with {parts.path!r}"
        )
    spelled = parts.scheme.replace("valkey", "redis")
    try:
        settings = library.parse_url(spelled + str(url)[len(parts.scheme) :])
    except ValueError as error:
        raise ConfigError(f"{setting}: {error}") from None
    settings = {name: value for name, value in settings.items() if name not in OURS}
    settings.pop("connection_class", None)
    refuse_unknown(settings, setting)
    endpoint = Endpoint(SCHEMES[parts.scheme], settings)
    endpoint.check(library, setting)
    return endpoint


def _split(url: object, setting: str) -> SplitResult:
    if not isinstance(url, str):
        raise ConfigError(f"{setting} must be a URL such as redis://localhost:6379/0, not {url!r}")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        wrong = "the port is not a number" if "ort" in str(error) else "it is malformed"
        raise ConfigError(f"{setting} is no URL: {wrong}") from None
    return parts
