"""One image: whole in every colour mode that occurs, or the reason why it is not."""

import io

import pytest
from PIL import Image
from small_data import jpeg

from resparse.data.jpeg import decode


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


COLOUR = (200, 50, 100)


@pytest.mark.parametrize(
    ("mode", "rgb"), [("RGB", COLOUR), ("CMYK", COLOUR), ("L", (101, 101, 101))]
)  # 0.299 * 200 + 0.587 * 50 + 0.114 * 100 = 100.6
def test_greyscale_and_cmyk_are_converted_to_rgb(mode, rgb):
    data = saved(Image.new("RGB", (40, 30), COLOUR).convert(mode), "JPEG", quality=95)
    image, found = decode(data)
    assert (found, image.mode, image.size) == (mode, "RGB", (40, 30))
    assert image.getpixel((20, 20)) == pytest.approx(rgb, abs=3)


def test_bytes_after_the_end_do_no_harm():
    assert decode(jpeg(1) + b"\0" * 9)[0].size == (64, 64)


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
        (
            lambda d: d[: len(d) * 3 // 4] + b"\0" * (len(d) // 4),
            "^(is truncated|cannot be decoded): ",
        ),
        (lambda d: d[:100], "^(is truncated|cannot be decoded): "),
        (lambda d: d[:4] + b"\xff" * 40 + d[44:], "^(is truncated|cannot be decoded): "),
    ],
    ids=["empty", "html", "zeros", "half", "no end", "zero tail", "header", "broken header"],
)
@pytest.mark.parametrize("progressive", [False, True])
def test_a_damaged_jpeg_says_what_is_wrong(damage, reason, progressive):
    data = jpeg(1, (64, 48), quality=90, progressive=progressive)
    assert decode(data)[0].size == (64, 48)
    with pytest.raises(ValueError, match=reason):
        decode(damage(data))


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "WEBP", "GIF", "ICO", "PPM", "JPEG2000"])
def test_an_image_of_another_format_is_named_and_refused(kind):
    data = saved(Image.new("RGB", (32, 32), COLOUR), kind)
    with pytest.raises(ValueError, match=rf"^is {kind}, not an image of JPEG or PNG$"):
        decode(data)


def test_a_jpeg_of_several_images_is_read_as_its_first():
    first, second = Image.new("RGB", (40, 30), COLOUR), Image.new("RGB", (40, 30))
    data = saved(first, "MPO", save_all=True, append_images=[second], quality=95)
    assert Image.open(io.BytesIO(data)).format == "MPO"
    image, mode = decode(data)
    assert (image.size, mode) == ((40, 30), "RGB")
    assert image.getpixel((20, 20)) == pytest.approx(COLOUR, abs=3)


def test_a_truncated_jpeg_of_several_images_is_not_called_another_format():
    image = Image.new("RGB", (40, 30), COLOUR)
    data = saved(image, "MPO", save_all=True, append_images=[image], quality=95)
    with pytest.raises(ValueError, match=r"^is truncated: "):
        decode(data[: data.index(b"\xff\xda") + 20])
