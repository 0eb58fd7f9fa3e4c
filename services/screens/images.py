"""Images from strangers, opened so that a hostile one costs little and hides nothing.

Before a decoder sees a byte, the file's own structure is walked: kind, size in pixels, chunks or segments to the very
end. Then it is built anew from what an image needs and nothing else (no text, no colour profiles, no thumbnails, no
second pictures), so most of a decoder's code is never reached. What is decoded is one opaque RGB picture, upright.
"""

from __future__ import annotations

import io
import re
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

MOST_BYTES = 8 * 2**20
"""Of a file."""
MOST_PIXELS = 16_000_000
"""Of an image: a phone's photograph passes. 64 MB when decoded with an alpha channel."""
LONGEST_SIDE = 10_000
"""In pixels."""
MOST_PARTS = 10_000
"""Chunks of a PNG, or segments of a JPEG."""
MOST_SCANS = 64
"""Of a progressive JPEG: each is a pass over the whole picture ("Two Issues with the JPEG Standard", libjpeg-turbo,
LJT-01-003, advises a limit; cameras and encoders write about 10)."""

PNG_SIGNATURE, JPEG_SIGNATURE = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
PNG_NEEDED = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf", b"IEND"}
"""Chunks that are kept: eXIf says which side is up."""
LARGEST_EXIF = 64 * 2**10
"""In bytes; that of a JPEG cannot be larger."""

# JPEG markers (ITU-T T.81, table B.1).
START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9
EXIF, ADOBE, COMMENT = 0xE1, 0xEE, 0xFE
APPLICATION = range(0xE0, 0xF0)
NEXT_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])")


class ImageRefused(Exception):
    """An image that is not opened; the message says why, and holds nothing of the file."""


def opened(data: bytes) -> Image.Image:
    """Return the picture that people see, as RGB.

    Where parts are transparent it is the picture on white above the same on black, since what is drawn in the alpha
    channel alone shows on one of them.

    Args:
        data: A PNG or JPEG file, whatever it calls itself.

    Raises:
        ImageRefused: If it is another kind of file, too large, damaged, animated, or more than an image.
    """
    if len(data) > MOST_BYTES:
        raise ImageRefused(f"the file holds {len(data)} bytes; {MOST_BYTES} at most")
    if data.startswith(PNG_SIGNATURE):
        kind, clean = "PNG", _png(data)
    elif data.startswith(JPEG_SIGNATURE):
        kind, clean = "JPEG", _jpeg(data)
    else:
        raise ImageRefused("not a PNG or JPEG; send one of these")
    try:
        with Image.open(io.BytesIO(clean), formats=(kind,)) as image:
            image.load()
            return _seen(ImageOps.exif_transpose(image))
    except Exception:  # decoders fail in every way there is; all of them mean the same
        raise ImageRefused("the image is damaged; it cannot be decoded") from None


def _sized(width: int, height: int) -> None:
    if not (0 < width <= LONGEST_SIDE and 0 < height <= LONGEST_SIDE and width * height <= MOST_PIXELS):
        raise ImageRefused(
            f"the image is {width} by {height} pixels; {MOST_PIXELS} in all and {LONGEST_SIDE} a side at most"
        )


def _png(data: bytes) -> bytes:
    """Return the file with needed chunks alone (W3C, "Portable Network Graphics", third edition, section 5)."""
    kept, position, parts, ended = [PNG_SIGNATURE], len(PNG_SIGNATURE), 0, False
    while not ended:
        if position + 12 > len(data) or (parts := parts + 1) > MOST_PARTS:
            raise ImageRefused("the image is damaged; its last chunk is missing")
        length, kind = struct.unpack_from(">I4s", data, position)
        body = data[position + 8 : position + 8 + length]
        (checksum,) = (
            struct.unpack_from(">I", data.ljust(1), position + 8 + length)
            if (position + 12 + length <= len(data))
            else (-1,)
        )
        if checksum != zlib.crc32(body, zlib.crc32(kind)):
            raise ImageRefused("the image is damaged; a chunk is cut off or altered")
        if (kind == b"IHDR") != (parts == 1):
            raise ImageRefused("the image is damaged; its header is not its first chunk")
        if kind == b"IHDR":
            if length != 13:
                raise ImageRefused("the image is damaged; its header has another length")
            _sized(*struct.unpack_from(">II", body))
        if kind in (b"acTL", b"fcTL", b"fdAT"):
            raise ImageRefused("the image is animated; send one picture")
        if kind in PNG_NEEDED and not (kind == b"eXIf" and length > LARGEST_EXIF):
            kept.append(data[position : position + 12 + length])
        elif not kind[0] & 0x20:
            raise ImageRefused("the image has a critical chunk that no standard knows")
        position += 12 + length
        ended = kind == b"IEND"
    if position != len(data):
        raise ImageRefused("something follows the end of the image; send the image alone")
    return b"".join(kept)


def _jpeg(data: bytes) -> bytes:
    """Return the file with needed segments alone (ITU-T T.81, annex B)."""
    kept, position, scans, frames = [data[:2]], 2, 0, 0
    for _ in range(MOST_PARTS):
        found = NEXT_MARKER.match(data, position)
        if found is None:
            raise ImageRefused("the image is damaged; a segment is cut off or altered")
        marker, position = found[1][0], found.end()
        if marker == END_OF_IMAGE:
            break
        length = int.from_bytes(data[position : position + 2], "big")
        end = position + length
        if length < 2 or end > len(data):
            raise ImageRefused("the image is damaged; a segment is cut off")
        if marker in START_OF_FRAME:
            frames += 1
            if length < 8 or frames > 1:
                raise ImageRefused("the image is damaged; it has no single header")
            height, width = struct.unpack_from(">HH", data, position + 3)
            _sized(width, height)
        if marker == START_OF_SCAN:
            scans += 1
            if scans > MOST_SCANS:
                raise ImageRefused(f"the image has more than {MOST_SCANS} scans; save it anew")
            # The picture itself runs until the next marker that is neither stuffing nor a restart.
            following = NEXT_MARKER.search(data, end)
            if following is None:
                raise ImageRefused("the image is damaged; it is cut off")
            end = following.start()
        exif = marker == EXIF and data[position + 2 : position + 8] == b"Exif\0\0"
        if exif or marker == ADOBE or not (marker in APPLICATION or marker == COMMENT):
            kept.append(b"\xff" + bytes([marker]) + data[position:end])
        position = end
    else:
        raise ImageRefused(f"the image has more than {MOST_PARTS} segments; save it anew")
    if not frames or not scans:
        raise ImageRefused("the image is damaged; it holds no picture")
    rest = data[position:]
    # Phones append a second picture (depth, brightness), cameras pad with zeros: neither is read.
    if rest.strip(b"\0") and not rest.startswith(JPEG_SIGNATURE):
        raise ImageRefused("something follows the end of the image; send the image alone")
    return b"".join([*kept, b"\xff\xd9"])


def _seen(image: Image.Image) -> Image.Image:
    if image.mode == "I" or image.mode.startswith("I;16"):
        # Sixteen bits of grey: Pillow would cut them off at 255.
        image = Image.fromarray((np.asarray(image, dtype=np.uint32) >> 8).astype(np.uint8), "L")
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    if image.getextrema()[3][0] == 255:
        return image.convert("RGB")
    both = Image.new("RGB", (image.width, 2 * image.height), "black")
    both.paste("white", (0, 0, image.width, image.height))
    both.paste(image, (0, 0), image)
    both.paste(image, (0, image.height), image)
    return both
