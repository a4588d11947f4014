"""FFCV's compiled decoder and resizer, called for many images without Python's lock.

Its Loader is not used: an error in its thread leaves the caller waiting for ever, it overwrites
batches that were handed out, each thread draws crops from an unseeded generator of its own, and it
starts at the first step only. Nor is its Python imported: that compiles for seconds in every
process, and sets torch's threads to 1.
"""

import ctypes
from collections.abc import Callable
from ctypes import c_bool, c_int64, c_uint32, c_uint64, c_void_p
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import find_spec
from typing import Any

import numpy as np

from resparse.errors import Missing

PACKAGES = "libturbojpeg0-dev libopencv-dev pkg-config"
INSTALL = (
    f"apt-get install -y {PACKAGES}, then uv pip install --require-hashes "
    "-b requirements/build.lock -r requirements/ffcv.lock"
)


def require_ffcv() -> tuple[Any, Any]:
    """FFCV's two functions (imdecode, resize); raises Missing with the packages that it needs."""
    try:
        library = ctypes.CDLL(_library())
    except (ImportError, OSError) as error:
        raise Missing(
            f"the ffcv loader needs FFCV, which is not here ({error}): {INSTALL}"
        ) from error
    imdecode, resize = library.imdecode, library.resize
    # bytes, how many, height, width; to, crop (2), offset (2), scale (2), whether to crop, to flip
    size, side = c_uint64, c_uint32
    imdecode.argtypes = [c_void_p, size, side, side, c_void_p, *6 * [side], c_bool, c_bool]
    # 0; from, height, width; the box's rows (from, to) and columns (from, to); to, height, width
    resize.argtypes = 11 * [c_int64]
    library["_ZN2cv13setNumThreadsEi"](1)  # OpenCV's own threads are more than there are cores
    return imdecode, resize


def _library() -> str:
    """Where FFCV's compiled part lies; raises ImportError where FFCV is not installed."""
    package = find_spec("ffcv")
    if package is None:
        raise ImportError("No module named 'ffcv'", name="ffcv")
    part = PathFinder.find_spec("_libffcv", package.submodule_search_locations)
    if part is None or part.origin is None:
        raise ImportError(f"no _libffcv in {package.origin}", name="_libffcv")
    return part.origin


@cache
def kernel() -> Callable[..., int]:
    """The function ``decode`` below, compiled (a second, once a process)."""
    from numba import njit

    imdecode, resize = require_ffcv()

    def decode(data, pointers, sizes, modes, heights, widths, boxes, flips, table, out):  # type: ignore[no-untyped-def]
        """Rows of ``out`` (N, 3, S, S) float32: boxes cut out, resized, flipped, looked up.

        Images are ``sizes`` bytes of ``data`` from ``pointers`` on; ``table`` is (3, 256).
        Returns the first row that cannot be decoded, or -1.
        """
        largest = 0
        for row in range(len(pointers)):
            largest = max(largest, 3 * heights[row] * widths[row])
        pixels = np.empty(largest, np.uint8)
        side = out.shape[2]
        small = np.empty((side, side, 3), np.uint8)
        for row in range(len(pointers)):
            h, w = heights[row], widths[row]
            part = data[pointers[row] : pointers[row] + sizes[row]]
            source = stored = part.ctypes.data
            if modes[row] == 0:
                source = pixels.ctypes.data
                if imdecode(stored, sizes[row], h, w, source, h, w, 0, 0, 1, 1, False, False) != 0:
                    return row
            top, left, high, wide = boxes[row]
            resize(
                0, source, h, w, top, top + high, left, left + wide, small.ctypes.data, side, side
            )
            for y in range(side):
                for x in range(side):
                    at = side - 1 - x if flips[row] else x
                    for channel in range(3):
                        out[row, channel, y, x] = table[channel, small[y, at, channel]]
        return -1

    compiled: Callable[..., int] = njit(nogil=True)(decode)
    return compiled
