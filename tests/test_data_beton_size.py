"""The disk that .beton files will take, by hand."""

import pytest

from resparse.data.beton import Settings
from resparse.data.beton_size import expected_bytes


@pytest.mark.parametrize(
    ("settings", "an_image"),
    [
        (Settings(mode="raw", max_resolution=500), 3 * 500 * 500),
        (Settings(mode="raw", max_resolution=200), 3 * 200 * 200),
        (Settings(mode="raw", max_resolution=None), 3 * 2 * 200_000),
        (Settings(mode="raw", max_resolution=5000), 3 * 2 * 200_000),  # nothing is enlarged
        (Settings(), 0.35 * 500 * 500),
        (Settings(max_resolution=400, quality=80), 0.25 * 400 * 400),
        (Settings(max_resolution=400, quality=81), 0.35 * 400 * 400),
        (Settings(max_resolution=400, quality=95), 0.5 * 400 * 400),
        (Settings(max_resolution=400, quality=98), 0.7 * 400 * 400),
        (Settings(max_resolution=400, quality=100), 1.0 * 400 * 400),
        (Settings(max_resolution=None), 0.35 * 2 * 200_000),
        (Settings(mode="proportion", proportion=0.25), (0.25 * 0.35 + 0.75 * 3) * 500 * 500),
        (Settings(mode="proportion", proportion=1.0), 0.35 * 500 * 500),
    ],
)
def test_it_follows_mode_resolution_and_quality(settings, an_image):
    """1000 images whose files have 200,000 bytes each: 400,000 pixels or so."""
    assert expected_bytes(settings, 1000, 200_000_000) == 1000 * (48 + an_image)
