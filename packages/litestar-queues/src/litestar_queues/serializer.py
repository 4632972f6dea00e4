"""JSON by msgspec: the same wire as the core's serializer, and faster."""

from __future__ import annotations

import msgspec

from litestar_queues_core.serializer import JsonSerializer

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_careful = JsonSerializer()


class MsgspecSerializer:
    """Encodes plain JSON values, and reads what the core's ``JsonSerializer`` has written.

    Both take and refuse the same values and bytes.

    Raises:
        TypeError: A value is no plain JSON.
        ValueError: A number is not finite, a value contains itself, or bytes are no JSON.
    """

    def dumps(self, value: object) -> bytes:
        """Encode *value*."""
        # msgspec writes much that is no JSON (dates, sets, NaN as null), as something that reads
        # differently: what does not come back as it was is left to the other serializer.
        try:
            data = _encode(value)
            if _decode(data) == value:
                return data
        except (RecursionError, TypeError, ValueError):
            return _careful.dumps(value)
        return _careful.dumps(value)

    def loads(self, data: bytes) -> object:
        """Decode *data*."""
        try:
            value: object = _decode(data)
        except (RecursionError, ValueError, msgspec.DecodeError):  # no ValueError before 0.21
            return _careful.loads(data)
        return value
