"""TWS's frames: a big-endian length, then text fields that each end with NUL.

The first bytes of a connection are `API` and NUL, then one frame that names the versions the client speaks.
"""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

SERVER_VERSION = 176
LARGEST_FRAME = 1 << 20
LENGTH = struct.Struct(">I")
GREETING = b"API\0"
VERSIONS = re.compile(r"v(\d+)(?:\.\.(\d+))?(?: .*)?", re.DOTALL)


class WireError(Exception):
    """What came is not TWS's protocol."""


def frame(fields: Iterable[Any]) -> bytes:
    """One message as it goes over the wire."""
    body = b"".join(text(field).encode() + b"\0" for field in fields)
    return LENGTH.pack(len(body)) + body


def text(value: Any) -> str:
    """One field: nothing for None, 1 or 0 for a truth, plain digits for a number."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    return plain(value) if isinstance(value, Decimal) else str(value)


def plain(number: Decimal) -> str:
    """A number without exponent and without trailing zeros."""
    digits = format(number, "f")
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


async def read_greeting(reader: asyncio.StreamReader) -> tuple[int, int]:
    """The lowest and highest version that the client speaks. Raises WireError, asyncio.IncompleteReadError."""
    if await reader.readexactly(len(GREETING)) != GREETING:
        raise WireError("no API greeting")
    spoken = VERSIONS.fullmatch((await _read_body(reader)).decode("ascii", "replace").rstrip("\0"))
    if spoken is None:
        raise WireError("no versions in the greeting")
    low = int(spoken[1])
    return low, int(spoken[2] or low)


async def read_fields(reader: asyncio.StreamReader) -> list[str]:
    """The fields of the next message. Raises WireError, asyncio.IncompleteReadError."""
    body = await _read_body(reader)
    if not body.endswith(b"\0"):
        raise WireError("a frame ends within a field")
    return body[:-1].decode(errors="backslashreplace").split("\0")


async def _read_body(reader: asyncio.StreamReader) -> bytes:
    (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
    if not 0 < length <= LARGEST_FRAME:
        raise WireError(f"a frame of {length} bytes")
    return await reader.readexactly(length)
