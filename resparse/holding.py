"""Who holds a run: the kernel's lock on a file, gone when the holder ends, however it does."""

import fcntl
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from resparse.errors import RunFailed
from resparse.files import writing

LOOKS = 10  # tries in a tenth of a second: whoever only looks is gone by then
_held: set[IO[str]] = set()  # by this process


def _close_in_child() -> None:
    """A loader's worker, forked from who holds a run, would hold it too and outlive a kill -9."""
    for file in _held:
        file.close()  # the lock is the holder's still: it goes with the last that has it open
    _held.clear()


os.register_at_fork(after_in_child=_close_in_child)


@contextmanager
def held(folder: Path, *, wait: bool, note: Callable[..., None]) -> Iterator[None]:
    """See RunFolder.lock. What the file says decides nothing: its process may be long gone."""
    path = folder / "lock"
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    with file:
        if not take(file):
            file.seek(0)
            holder = file.read().strip() or "?"
            if not wait:
                raise RunFailed(
                    f"run {folder.name} is being trained by process {holder}: wait or stop it"
                )
            note(event="waits for the process that holds it", held_by=holder)
            take(file, wait=True)
        with writing(path):
            file.truncate(0)
            me = f"{os.getpid()} on {platform.node()}"  # a cluster's machines share a store
            os.write(file.fileno(), me.encode())  # nothing is left for close()
        _held.add(file)
        try:
            yield
        finally:
            _held.discard(file)


def take(file: IO[str], *, wait: bool = False) -> bool:
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
