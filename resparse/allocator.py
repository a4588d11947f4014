"""What the C library does with memory that is freed: large tensors come and go at mask updates."""

import ctypes
import sys
from functools import cache

# of glibc's malloc.h: what mallopt sets, and the most that an int of bytes may say
TRIM_THRESHOLD, MMAP_THRESHOLD, MOST, MOST_ONCE = -1, -3, 2**30, 2**25


@cache
def keep_memory() -> None:
    """Let this process keep what it frees, where the C library is glibc; once is enough.

    Otherwise each large tensor may be new memory, that the kernel fills with zeros page by page.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "gnu_get_libc_version"):
        if not libc.mallopt(MMAP_THRESHOLD, MOST):  # before glibc 2.35
            libc.mallopt(MMAP_THRESHOLD, MOST_ONCE)
        libc.mallopt(TRIM_THRESHOLD, MOST)
