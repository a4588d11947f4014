"""One image: whole in every colour mode that occurs, or the reason why it is not."""

import io

import numpy as np
import pytest
from PIL import Image
from small_data import jpeg

from resparse.data.jpeg import decode, has_end


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_greyscale_and_cmyk_are_converted_to_rgb(mode):
    image, found = decode(jpeg(3, (40, 30), mode, quality=95))
    assert (found, image.mode, image.size) == (mode, "RGB", (40, 30))
    expected = decode(jpeg(3, (40, 30), "RGB", quality=95))[0]
    if mode == "L":
        grey = np.asarray(expected.convert("L")).astype(int)
        assert np.abs(np.asarray(image).astype(int) - grey[:, :, None]).mean() < 3
    else:
        assert np.abs(np.asarray(image).astype(int) - np.asarray(expected).astype(int)).mean() < 3


def test_a_png_named_jpeg_is_valid_as_imagenet_has_one():
    image, mode = decode(saved(Image.new("RGB", (5, 4), (1, 2, 3)), "PNG"))
    assert (image.size, image.getpixel((4, 3)), mode) == ((5, 4), (1, 2, 3), "RGB")


def test_a_colour_mode_that_does_not_occur_is_named():
    with pytest.raises(ValueError, match=r"^has colour mode 1, valid: RGB, L, CMYK, RGBA$"):
        decode(saved(Image.new("1", (5, 4)), "PNG"))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda d: b"", "^is empty$"),
        (lambda d: b"<html><body>404</body></html>", "^is an HTML page, not an image$"),
        (lambda d: b"\0" * len(d), "^cannot be decoded: cannot identify image file$"),
        (lambda d: d[: len(d) // 2], "^is truncated: "),
        (lambda d: d[:-2], "^is truncated: "),
        (lambda d: d[: len(d) * 3 // 4] + b"\0" * (len(d) // 4), "^is truncated: no end-of-image"),
        (lambda d: d[:100], "^(is truncated|cannot be decoded): "),
        (lambda d: d[:4] + b"\xff" * 40 + d[44:], "^cannot be decoded: "),
    ],
    ids=["empty", "html", "zeros", "half", "no end", "zero tail", "header", "broken header"],
)
@pytest.mark.parametrize("progressive", [False, True])
def test_a_damaged_jpeg_says_what_is_wrong(damage, reason, progressive):
    data = jpeg(1, (64, 48), quality=90, progressive=progressive)
    assert decode(data)[0].size == (64, 48)
    with pytest.raises(ValueError, match=reason):
        decode(damage(data))


def test_pillow_alone_takes_an_image_whose_rest_is_zeros():
    """Why the end marker is looked for: an interrupted copy of full length decodes to grey."""
    data = jpeg(1, (64, 48), quality=90)
    with Image.open(io.BytesIO(data[: len(data) * 3 // 4] + b"\0" * (len(data) // 4))) as image:
        assert image.convert("RGB").size == (64, 48)


def test_the_end_marker_of_a_thumbnail_does_not_count():
    thumbnail, data = jpeg(2, (8, 8)), jpeg(1)
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    whole = data[:2] + segment + data[2:]
    assert thumbnail.endswith(b"\xff\xd9")
    assert has_end(whole)
    assert not has_end(whole[:-2])
    assert not has_end(data[:2] + segment)


def test_bytes_after_the_end_do_no_harm_and_restarts_are_no_end():
    data = jpeg(1, (64, 48), restart_marker_blocks=1)
    assert b"\xff\xd0" in data
    assert has_end(data + b"trailing \xff\xda bytes")
    assert decode(data + b"\0" * 9)[0].size == (64, 48)
    assert not has_end(data[:-2])
