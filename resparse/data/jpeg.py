"""Is this one image whole: its bytes decoded to RGB, or the reason why not."""

import io
import re
import struct

from PIL import Image

MODES = ("RGB", "L", "CMYK", "RGBA")  # ImageNet has greyscale and CMYK files and one PNG: valid
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # in scan data: not stuffing, not a restart


def decode(data: bytes) -> tuple[Image.Image, str]:
    """The image as RGB and the mode it was stored in; raises ValueError with the reason.

    Greyscale and CMYK are converted. Pillow goes on over a scan that ends early with only a
    warning of libjpeg's, so the end marker is looked for too.
    """
    if not data:
        raise ValueError("is empty")
    if looks_like_html(data):
        raise ValueError("is an HTML page, not an image")
    try:
        with Image.open(io.BytesIO(data)) as image:
            mode, rgb = image.mode, image.convert("RGB")
            is_jpeg = image.format in ("JPEG", "MPO")
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        said = str(error).split(" <_io.")[0]  # without the address of the buffer
        reason = "is truncated" if "truncated" in said else "cannot be decoded"
        raise ValueError(f"{reason}: {said}") from error
    if mode not in MODES:
        raise ValueError(f"has colour mode {mode}, valid: {', '.join(MODES)}")
    if is_jpeg and not has_end(data):
        raise ValueError("is truncated: no end-of-image marker")
    return rgb, mode


def has_end(data: bytes) -> bool:
    """Whether a JPEG's segments and scans go on to the end-of-image marker of the image itself.

    A thumbnail inside a segment has an end marker of its own, which does not count.
    """
    at = 2  # after the start-of-image marker
    while found := _MARKER.search(data, at):
        at = found.end()
        code = data[at - 1]
        if code == 0xD9:
            return True
        if code not in (0x01, 0xD8):  # all others are followed by their length
            at += int.from_bytes(data[at : at + 2], "big")
    return False


def looks_like_html(start: bytes) -> bool:
    """Whether bytes are the beginning of a web page, as servers send in a file's place."""
    head = start[:256].lstrip().lower()
    return head.startswith((b"<!doctype html", b"<html", b"<?xml", b"<head", b"<!--"))
