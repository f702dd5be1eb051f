"""Small pictures without a plotting library: an indexed PNG as a data URI."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Mapping, Sequence

Palette = Mapping[int, str]  # level -> "#rrggbb"


def data_uri(levels: Sequence[Sequence[int]], palette: Palette) -> str:
    """Return a picture of one pixel a level as a data URI (PNG, colour type 3, eight bits a pixel)."""
    order = {level: place for place, level in enumerate(palette)}
    scanlines = b"".join(b"\0" + bytes(order[level] for level in row) for row in levels)  # 0: no filter
    header = struct.pack(">IIBBBBB", len(levels[0]), len(levels), 8, 3, 0, 0, 0)
    colours = b"".join(bytes.fromhex(colour.removeprefix("#")) for colour in palette.values())
    image = b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, data)
        for kind, data in (
            (b"IHDR", header),
            (b"PLTE", colours),
            (b"IDAT", zlib.compress(scanlines, 9)),
            (b"IEND", b""),
        )
    )
    return f"data:image/png;base64,{base64.b64encode(image).decode('ascii')}"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
