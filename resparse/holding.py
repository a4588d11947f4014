"""Who holds a run: the kernel's lock on a file, gone when the holder ends, however it does."""

import fcntl
import time
from pathlib import Path
from typing import IO

LOOKS = 10  # tries in a tenth of a second: whoever only looks is gone by then


def take(file: IO[str], *, wait: bool) -> bool:
    """Hold ``file`` for this process until it is closed; False where another holds it.

    With ``wait`` after the other's end.
    """
    if wait:
        fcntl.flock(file, fcntl.LOCK_EX)
        return True
    for _ in range(LOOKS):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(0.01)
    return False


def locked(path: Path) -> bool:
    """Whether a live process holds the run in this folder; nothing is written.

    A shared lock asks, on network file systems the other machines too, and is let go of at once:
    ``take`` outlasts it.
    """
    try:
        with (path / "lock").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (FileNotFoundError, NotADirectoryError):
        pass
    return False
