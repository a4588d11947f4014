"""Is this one image whole: its bytes decoded to RGB, or the reason why not."""

import io
import struct

import PIL
from PIL import Image, features

FORMATS = ("JPEG", "PNG")  # Pillow reads MPO, JPEGs of cameras with several images, as JPEG
MODES = ("RGB", "L", "CMYK", "RGBA")  # ImageNet has greyscale and CMYK files and one PNG: valid


def decode(data: bytes) -> tuple[Image.Image, str]:
    """The image as RGB and the mode it was stored in; raises ValueError with the reason.

    JPEG or PNG; greyscale and CMYK are converted. A file that ends early, or in zeros, is refused;
    other bytes inside a scan are still an image to libjpeg: only a kept hash shows them.
    """
    if not data:
        raise ValueError("is empty")
    if looks_like_html(data):
        raise ValueError("is an HTML page, not an image")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            mode, rgb = image.mode, image.convert("RGB")
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        if other := _other_format(data):
            raise ValueError(f"is {other}, not an image of {' or '.join(FORMATS)}") from error
        said = str(error).split(" <_io.")[0]  # without the address of the buffer
        reason = "is truncated" if "truncated" in said.lower() else "cannot be decoded"
        raise ValueError(f"{reason}: {said}") from error
    if mode not in MODES:
        raise ValueError(f"has colour mode {mode}, valid: {', '.join(MODES)}")
    return rgb, mode


def _other_format(data: bytes) -> str | None:
    """What Pillow takes the bytes for where that is none of ``FORMATS``; nothing is decoded."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            known = image.format
    except Exception:  # any of forty parsers may stumble; what is wrong was said by ours
        return None
    return None if known in (*FORMATS, "MPO") else known


def decoder() -> str:
    """What decodes here: another version may give other pixels."""
    return f"Pillow {PIL.__version__}, libjpeg-turbo {features.version('libjpeg_turbo')}"


def looks_like_html(start: bytes) -> bool:
    """Whether bytes are the beginning of a web page, as servers send in a file's place."""
    head = start[:256].lstrip().lower()
    return head.startswith((b"<!doctype html", b"<html", b"<?xml", b"<head", b"<!--"))
