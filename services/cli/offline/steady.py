"""Take clock and chance out of sound files, so that the same samples give the same bytes.

libsndfile writes the time of day into the chunk `PEAK` of WAV and AIFF files with floats, and a random serial number
into each page of an Ogg file. Nobody reads either.
"""

from __future__ import annotations

import zlib
from pathlib import Path

__all__ = ["make_steady"]

HEADER_BYTES = 4096
PEAK_TIME = slice(12, 16)  # after the chunk's name, size and version
OGG_SERIAL = slice(14, 18)
OGG_CHECKSUM = slice(22, 26)
OGG_N_SEGMENTS = 26
OGG_HEADER_BYTES = 27
SERIAL = b"SndS"
MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def make_steady(file: Path) -> None:
    """Rewrite the parts of a sound file that differ from one writing to the next."""
    with file.open("r+b") as sound:
        head = sound.read(HEADER_BYTES)
        if head.startswith(b"OggS"):
            sound.seek(0)
            content = bytearray(sound.read())
            _renumber_pages(content)
            sound.seek(0)
            sound.write(content)
        elif head[:4] in (b"RIFF", b"FORM") and (found := head.find(b"PEAK")) > 0:
            sound.seek(found + PEAK_TIME.start)
            sound.write(bytes(4))


def _renumber_pages(content: bytearray) -> None:
    """Give all pages of an Ogg stream the same serial number, and the checksum that follows (RFC 3533)."""
    start = 0
    while content.startswith(b"OggS", start):
        n_segments = content[start + OGG_N_SEGMENTS]
        lengths = content[start + OGG_HEADER_BYTES : start + OGG_HEADER_BYTES + n_segments]
        end = start + OGG_HEADER_BYTES + n_segments + sum(lengths)
        page = content[start:end]
        page[OGG_SERIAL] = SERIAL
        page[OGG_CHECKSUM] = bytes(4)
        page[OGG_CHECKSUM] = _checksum(page).to_bytes(4, "little")
        content[start:end] = page
        start = end


def _checksum(page: bytearray) -> int:
    """Return Ogg's CRC, which is that of zlib with bits mirrored, begun at 0 and not inverted."""
    mirrored = zlib.crc32(page.translate(MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)
