"""FFCV's compiled decoder and resizer, called for many images without Python's lock.

Its Loader is not used: an error in its thread leaves the caller waiting for ever, it overwrites
batches that were handed out, each thread draws crops from an unseeded generator of its own, and it
starts at the first step only.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch

from resparse.errors import Missing

PACKAGES = "libturbojpeg0-dev libopencv-dev pkg-config"
INSTALL = (
    f"apt-get install -y {PACKAGES}, then uv pip install --require-hashes "
    "-b requirements/build.lock -r requirements/ffcv.lock"
)


def require_ffcv() -> tuple[Any, Any]:
    """FFCV's two functions (imdecode, resize); raises Missing with the packages that it needs."""
    threads = torch.get_num_threads()
    try:
        from ffcv.libffcv import ctypes_imdecode, ctypes_resize, lib
    except (ImportError, OSError) as error:
        raise Missing(
            f"the ffcv loader needs FFCV, which is not here ({error}): {INSTALL}"
        ) from error
    finally:
        torch.set_num_threads(threads)  # importing FFCV sets it to 1
    lib["_ZN2cv13setNumThreadsEi"](1)  # OpenCV's own threads are more than there are cores
    return ctypes_imdecode, ctypes_resize


@cache
def kernel() -> Callable[..., int]:
    """The function ``decode`` below, compiled (seconds, once a process)."""
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
