"""Every image of a folder read and decoded once, in many processes; a bounded number at a time."""

import hashlib
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

from resparse import forking
from resparse.data.jpeg import decode
from resparse.errors import RunFailed

CHUNK = 32  # images a task: some hundred milliseconds of decoding
AHEAD = 4  # tasks in flight for each process
Result = TypeVar("Result")


class Decoded(NamedTuple):
    """One image: its sha256, the colour mode it is stored in, and what is wrong ("": nothing)."""

    name: str
    sha256: str
    mode: str
    fault: str


def decode_file(folder: Path, name: str, *, only_hash: bool = False) -> Decoded:
    """Read, hash and decode folder/name."""
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        return Decoded(name, "", "", f"cannot be read: {error.strerror}")
    digest = hashlib.sha256(data).hexdigest()
    try:
        return Decoded(name, digest, "" if only_hash else decode(data)[1], "")
    except ValueError as error:
        return Decoded(name, digest, "", str(error))


def _decode_files(folder: Path, names: list[str]) -> list[Decoded]:
    return [decode_file(folder, name) for name in names]


def _hash_files(folder: Path, names: list[str]) -> list[Decoded]:
    return [decode_file(folder, name, only_hash=True) for name in names]


def hash_all(folder: Path, names: Iterable[str], workers: int | None) -> Iterator[Decoded]:
    """As ``decode_all``, but the images are read and hashed only: no mode, no fault of decoding."""
    return in_order(partial(_hash_files, folder), names, workers, f"reads {folder}")


def decode_all(folder: Path, names: Iterable[str], workers: int | None) -> Iterator[Decoded]:
    """The images in the order of ``names``, of which only a few hundred are held at a time."""
    return in_order(partial(_decode_files, folder), names, workers, f"decodes {folder}")


def in_order(
    work: Callable[[list[str]], list[Result]],
    names: Iterable[str],
    workers: int | None,
    what: str,
    chunk: int | None = None,
) -> Iterator[Result]:
    """What ``work`` makes of chunks of ``names``, in their order; bounded, in many processes.

    Raises RunFailed where a process that ``what`` (a verb and its object) was killed.
    """
    workers = workers or len(os.sched_getaffinity(0))
    waiting: deque[Future[list[Result]]] = deque()
    rest = iter(names)
    with ProcessPoolExecutor(workers, mp_context=forking.shared()) as pool:
        try:
            while True:
                while len(waiting) < AHEAD * workers and (
                    part := list(islice(rest, chunk or CHUNK))
                ):
                    with forking.no_main():  # this is where the pool starts its processes
                        waiting.append(pool.submit(work, part))
                if not waiting:
                    return
                yield from waiting.popleft().result()
        except BrokenProcessPool as error:
            raise RunFailed(
                f"a process that {what} was killed (out of memory?): repeat with fewer "
                f"--workers than {workers}"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


class Pace:
    """Images a second since the first; a line on stderr every ten seconds, with what is left."""

    def __init__(self, total: int, every_s: float = 10.0) -> None:
        self.total, self.every_s, self.done = total, every_s, 0
        self.began = self.said = 0.0  # set by the first image: processes take seconds to start

    def step(self, what: str) -> None:
        """One more image of split ``what`` is decoded."""
        now = time.monotonic()
        self.done += 1
        if self.done == 1:
            self.began = self.said = now
        elif now - self.said >= self.every_s:
            self.said = now
            left = (self.total - self.done) / self.per_s() / 60
            line = f"{what}: {self.done:,} of {self.total:,} images, {self.per_s():,.0f} a second"
            print(f"{line}, {left:.0f} min left", file=sys.stderr, flush=True)

    def per_s(self) -> float:
        """Images a second; the first chunk, which came whole, is not counted."""
        elapsed = time.monotonic() - self.began
        return max(self.done - CHUNK, 0) / elapsed if self.done > CHUNK else 0.0
