"""How much disk .beton files will take, before they are written."""

from resparse.data.beton import PLACE, SAMPLE, Settings

# Of 100 images of ImageNet, 1.8 pixels a byte of JPEG; and OpenCV's JPEGs of them at 256 to 500
# pixels and all, 0.22 to 0.25 bytes a pixel at quality 80, 0.31 to 0.35 at 90, 0.45 to 0.50 at 95,
# 0.60 to 0.69 at 98, 0.80 to 0.94 at 100.
PIXELS_A_BYTE = 2
JPEG_BYTES = {80: 0.25, 90: 0.35, 95: 0.5, 98: 0.7, 100: 1.0}  # a pixel, up to this quality
RAW_BYTES = 3


def expected_bytes(settings: Settings, images: int, source_bytes: int) -> int:
    """Of ``images`` whose files have ``source_bytes`` together: for ImageNet enough, and less than
    twice what they take; other images may take more.

    An image has no more pixels than a square of max_resolution, nor than its own.
    """
    pixels = PIXELS_A_BYTE * source_bytes
    if settings.max_resolution is not None:
        pixels = min(pixels, images * settings.max_resolution**2)
    jpegs = {"jpg": 1.0, "raw": 0.0, "proportion": settings.proportion}[settings.mode]
    a_jpeg = next(size for quality, size in JPEG_BYTES.items() if settings.quality <= quality)
    each = SAMPLE.itemsize + PLACE.itemsize
    return round(images * each + pixels * (jpegs * a_jpeg + (1 - jpegs) * RAW_BYTES))
