"""Images from strangers, opened so that a hostile one costs little and hides nothing.

Before a decoder sees a byte, the file's own structure is walked: kind, size in pixels, chunks or segments to the very
end. Then it is built anew from what an image needs and nothing else (no text, no colour profiles, no thumbnails, no
second pictures), so most of a decoder's code is never reached. What is decoded is one opaque RGB picture, upright.
"""

from __future__ import annotations

import io
import re
import struct
from collections import Counter
from collections.abc import Iterator

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
"""Of a progressive JPEG: each is a pass over the whole picture, and may be a few bytes of the file (libjpeg-turbo's own
tools take ``-maxscans`` against that); encoders write about 10."""

PNG_SIGNATURE, JPEG_SIGNATURE = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
PNG_NEEDED = {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
"""Chunks that are kept."""
ANIMATION = {b"acTL", b"fcTL", b"fdAT"}
LARGEST_EXIF = 64 * 2**10
"""In bytes; that of a JPEG cannot be larger. All that is read of it is which side is up."""
ORIENTATION = 0x0112

# JPEG markers (ITU-T T.81, table B.1).
START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9
EXIF, ADOBE, COMMENT = 0xE1, 0xEE, 0xFE
APPLICATION = range(0xE0, 0xF0)
TRAILING = "something follows the end of the image; send the image alone"
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
        kind, (clean, exif) = "PNG", _png(data)
    elif data.startswith(JPEG_SIGNATURE):
        kind, (clean, exif) = "JPEG", _jpeg(data)
    else:
        raise ImageRefused("not a PNG or JPEG; send one of these")
    try:
        with Image.open(io.BytesIO(clean), formats=(kind,)) as image:
            image.load()
            return _seen(_upright(image, exif))
    except Exception:  # decoders fail in every way there is; all of them mean the same
        raise ImageRefused("the image is damaged; it cannot be decoded") from None


def _sized(width: int, height: int) -> None:
    if not (0 < width <= LONGEST_SIDE and 0 < height <= LONGEST_SIDE and width * height <= MOST_PIXELS):
        raise ImageRefused(
            f"the image is {width} by {height} pixels; {MOST_PIXELS} in all and {LONGEST_SIDE} a side at most"
        )


def _png(data: bytes) -> tuple[bytes, bytes]:
    """Return the file with needed chunks alone, and its EXIF (W3C, "Portable Network Graphics", third edition, section 5)."""
    kept, exif = [PNG_SIGNATURE], b""
    for kind, body, chunk in _chunks(data):
        if kind == b"IHDR" and len(body) == 13:
            _sized(*struct.unpack_from(">II", body))
        if (kind == b"IHDR") != (len(kept) == 1) or (kind == b"IHDR" and len(body) != 13):
            raise ImageRefused("the image is damaged; its first chunk is not its header")
        if kind in ANIMATION:
            raise ImageRefused("the image is animated; send one picture")
        if kind in PNG_NEEDED:
            kept.append(chunk)
        elif kind == b"eXIf" and len(body) <= LARGEST_EXIF:
            exif = body
        elif kind[0] & 0x20 == 0:
            raise ImageRefused("the image has a critical chunk that no standard knows")
    return b"".join(kept), exif


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield the type, the content and the whole of each chunk, to the very end of the file."""
    position, kind = len(PNG_SIGNATURE), b""
    for _ in range(MOST_PARTS):
        if position + 12 > len(data):
            raise ImageRefused("the image is damaged; it is cut off")
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        body = data[position + 8 : end - 4]
        if end > len(data):
            raise ImageRefused("the image is damaged; a chunk is cut off")
        yield kind, body, data[position:end]
        position = end
        if kind == b"IEND":
            break
    else:
        raise ImageRefused(f"the image has more than {MOST_PARTS} parts; save it anew")
    if position != len(data):
        raise ImageRefused(TRAILING)


def _jpeg(data: bytes) -> tuple[bytes, bytes]:
    """Return the file with needed segments alone, and its EXIF (ITU-T T.81, annex B)."""
    kept, exif, seen = [data[:2]], b"", Counter[str]()
    position = 2
    for marker, segment, end in _segments(data):
        position = end
        if marker in START_OF_FRAME:
            seen["frames"] += 1
            if len(segment) < 10 or seen["frames"] > 1:
                raise ImageRefused("the image is damaged; it has not one header")
            height, width = struct.unpack_from(">HH", segment, 5)
            _sized(width, height)
        if marker == START_OF_SCAN:
            seen["scans"] += 1
            if seen["scans"] > MOST_SCANS:
                raise ImageRefused(f"the image has more than {MOST_SCANS} scans; save it anew")
        if marker == EXIF and segment[4:10] == b"Exif\0\0":
            exif = exif or segment[4:]
        elif marker == ADOBE or not (marker in APPLICATION or marker == COMMENT):
            kept.append(segment)
    if not seen["frames"] or not seen["scans"]:
        raise ImageRefused("the image is damaged; it holds no picture")
    rest = data[position:]
    # Phones append a second picture (depth, brightness), cameras pad with zeros: neither is read.
    if rest.strip(b"\0") and not rest.startswith(JPEG_SIGNATURE):
        raise ImageRefused(TRAILING)
    return b"".join(kept), exif


def _segments(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Yield the marker and the whole of each segment, a scan with what it codes, and where the next begins."""
    position = 2
    for _ in range(MOST_PARTS):
        found = NEXT_MARKER.match(data, position)
        if found is None:
            raise ImageRefused("the image is damaged; a segment is cut off or altered")
        marker, position = found[1][0], found.end()
        if marker == END_OF_IMAGE:
            yield marker, b"\xff\xd9", position
            return
        end = position + int.from_bytes(data[position : position + 2], "big")
        if end > len(data):
            raise ImageRefused("the image is damaged; a segment is cut off")
        if marker == START_OF_SCAN:
            # What is coded runs until the next marker that is neither stuffing nor a restart.
            following = NEXT_MARKER.search(data, end)
            if following is None:
                raise ImageRefused("the image is damaged; it is cut off")
            end = following.start()
        yield marker, b"\xff" + data[position - 1 : end], end
        position = end
    raise ImageRefused(f"the image has more than {MOST_PARTS} parts; save it anew")


def _upright(image: Image.Image, exif: bytes) -> Image.Image:
    try:
        noted = Image.Exif()
        noted.load(exif)
        image.getexif()[ORIENTATION] = noted.get(ORIENTATION, 1)
        return ImageOps.exif_transpose(image)
    except Exception:  # a damaged note; viewers show the picture as it lies, and so does this
        return image


def _seen(image: Image.Image) -> Image.Image:
    if image.mode == "I" or image.mode.startswith("I;16"):
        # Sixteen bits of grey: Pillow would cut them off at 255.
        image = Image.fromarray((np.asarray(image, dtype=np.uint32) >> 8).astype(np.uint8), "L")
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    if image.getchannel("A").getextrema()[0] == 255:
        return image.convert("RGB")
    both = Image.new("RGB", (image.width, 2 * image.height), "black")
    both.paste("white", (0, 0, image.width, image.height))
    both.paste(image, (0, 0), image)
    both.paste(image, (0, image.height), image)
    return both
