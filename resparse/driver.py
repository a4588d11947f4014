"""The NVIDIA driver of this machine, and the CUDA that it can run."""

import ctypes
import re
from pathlib import Path

KERNEL = Path("/proc/driver/nvidia/version")
LIBRARY = "libcuda.so.1"
OLDEST = {12: 525, 13: 580}  # CUDA: the first driver branch that runs all its minor versions


def kernel_driver() -> str | None:
    """The version of the kernel's driver, like 580.95.05; None where there is none."""
    if not KERNEL.is_file():
        return None
    found = re.search(r"\b\d+\.\d+(?:\.\d+)?\b", KERNEL.read_text())
    return found[0] if found else "of unknown version"


def driver_cuda() -> tuple[int, int] | None:
    """(major, minor) of the newest CUDA that the driver's library runs; None: no library."""
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        return None
    version = ctypes.c_int()
    if library.cuDriverGetVersion(ctypes.byref(version)):
        return None
    return version.value // 1000, version.value % 1000 // 10
