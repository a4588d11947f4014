"""Images a second and peak memory of the ffcv loader beside the torch loader, in one run.

Each loader has a process of its own. It counts from the arrival of one batch to the arrival of a
later one while the loader goes on, so that neither start-up nor batches made ahead count; the
images are the folder's, epoch after epoch.
"""

import multiprocessing
import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from resparse.data.beton import Settings
from resparse.errors import Missing, RunFailed, UsageError, VerdictFailed

FOLDER = "imagenet-sample"  # below the data root: <wnid>/*.JPEG
RESOLUTIONS, QUALITY = (400, 500), 90
REQUIRED, REQUIRED_AT = 3.0, 400  # times the torch loader, at this max_resolution
SAMPLE_S = 0.25  # between looks at the memory
Speed = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One loader; ``peak_mib`` is of its process and all below it, shared pages counted once."""

    loader: str
    max_resolution: int | None  # None: the original files
    images_per_s: float
    cpu_ms: float  # of all its processes for an image: what other work on the machine changes less
    peak_mib: float
    ratio: float = 1.0  # to the torch loader's images_per_s


def loaders_report(
    root: Path,
    images: int,
    workers: int,
    batch: int = 100,
    say: Callable[[str], None] = lambda line: None,
) -> list[Row]:
    """torch, then ffcv at each resolution; ``say`` hears each row.

    Raises Missing without FFCV or root/imagenet-sample, UsageError for a batch larger than that.
    """
    from resparse.data import beton_writer, class_folders, ffcv_kernel

    ffcv_kernel.require_ffcv()
    folder = root / FOLDER
    if not folder.is_dir():
        raise Missing(f"{folder} is not there; valid: <wnid>/*.JPEG; give --data-root DIR")
    here = sum(1 for _ in class_folders.images(folder))
    if not 0 < batch <= here:
        raise UsageError(f"--batch {batch} for the {here} images of {folder}; valid: 1 to {here}")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        for resolution in (None, *RESOLUTIONS):
            path = folder
            if resolution is not None:
                path = Path(name) / f"{resolution}.beton"
                settings = Settings(max_resolution=resolution, quality=QUALITY)
                beton_writer.write(folder, path, settings, workers=workers)
            speed, cpu_ms, peak = measured(path, images, workers, batch)
            loader, first = ("ffcv", rows[0].images_per_s) if rows else ("torch", speed)
            row = Row(
                loader=loader,
                max_resolution=resolution,
                images_per_s=speed,
                cpu_ms=cpu_ms,
                peak_mib=peak,
                ratio=speed / first,
            )
            rows.append(row)
            say(line(row))
    return rows


def measured(path: Path, images: int, workers: int, batch: int) -> tuple[float, float, float]:
    """(images a second, CPU ms an image, peak MiB) of the loader for a folder or a .beton."""
    context = multiprocessing.get_context("spawn")
    answers, end = context.Pipe(duplex=False)
    process = context.Process(target=_main, args=(end, path, images, workers, batch))
    process.start()
    end.close()
    with _peak_mib(process.pid or 0) as peak:
        try:
            speed, cpu_ms = answers.recv()
        except EOFError:
            raise RunFailed(f"the process that loads {path} ended without an answer") from None
        finally:
            process.join()
    return speed, cpu_ms, peak[0]


def _main(
    end: "Connection[Speed, None]", path: Path, images: int, workers: int, batch: int
) -> None:
    import torch

    from resparse.data.ffcv_loader import Betons
    from resparse.data.folder import Folders

    torch.set_num_threads(1)
    make: Any = Folders if path.is_dir() else Betons
    data = make("bench", path, path, workers=workers)
    end.send(speed(data, images, batch, lambda: (time.perf_counter(), tree_cpu_s(os.getpid()))))


def speed(data: Any, images: int, batch: int, clocks: Callable[[], Speed]) -> Speed:
    """(images a second, milliseconds an image) by two clocks, after an epoch of warm-up."""
    warmup, counted = -(-data.train_size // batch), -(-images // batch)
    endless = data.train_batches(0, batch, 0, 10 * (warmup + counted))
    began = (0.0, 0.0)
    for number, _ in enumerate(endless, start=1):
        if number == warmup:
            began = clocks()
        if number == warmup + counted:
            wall, cpu = (now - then for now, then in zip(clocks(), began, strict=True))
            return counted * batch / wall, 1e3 * cpu / (counted * batch)
    raise RuntimeError("the loader ended")


@contextmanager
def _peak_mib(pid: int) -> Iterator[list[float]]:
    """A list whose number becomes the most memory that ``pid`` and its children had together."""
    peak, stop = [0.0], threading.Event()

    def look() -> None:
        while not stop.wait(SAMPLE_S):
            peak[0] = max(peak[0], tree_mib(pid))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        stop.set()
        thread.join()


def tree(pid: int) -> Iterator[Path]:
    """/proc/N of a process and of all below it; it may be gone when it is looked at."""
    waiting = [pid]
    while waiting:
        at = Path(f"/proc/{waiting.pop()}")
        yield at
        with suppress(OSError):
            for task in (at / "task").iterdir():
                waiting += [int(child) for child in (task / "children").read_text().split()]


def tree_mib(pid: int) -> float:
    """MiB of a process and all below it now: proportional set sizes, mapped files included."""
    kib = 0
    for at in tree(pid):
        with suppress(OSError):
            found = re.search(r"^Pss: +(\d+) kB", (at / "smaps_rollup").read_text(), re.M)
            kib += int(found[1]) if found else 0
    return kib / 1024


def tree_cpu_s(pid: int) -> float:
    """CPU seconds so far of a process and of all below it that live."""
    ticks = 0
    for at in tree(pid):
        with suppress(OSError):
            after_name = (at / "stat").read_text().rpartition(")")[2].split()
            ticks += int(after_name[11]) + int(after_name[12])  # user, system
    return ticks / os.sysconf("SC_CLK_TCK")


HEADER = (
    f"{'loader':8} {'resolution':>10} {'images/s':>9} {'CPU ms':>7} {'peak MiB':>9} {'ratio':>6}"
)


def line(row: Row) -> str:
    """One row of the table under HEADER."""
    resolution = row.max_resolution or "original"
    return (
        f"{row.loader:8} {resolution:>10} {row.images_per_s:9.1f} {row.cpu_ms:7.2f} "
        f"{row.peak_mib:9.0f} {row.ratio:6.2f}"
    )


def as_json(rows: list[Row], images: int, workers: int, batch: int) -> dict[str, Any]:
    """What was measured and how; the load is of the last minute, other work included."""
    return {
        "images": images,
        "workers": workers,
        "batch": batch,
        "mode": "jpg",
        "quality": QUALITY,
        "rows": [asdict(row) for row in rows],
        "required_ratio": REQUIRED,
        "required_at_max_resolution": REQUIRED_AT,
        "load_average": os.getloadavg()[0],
        "cores": len(os.sched_getaffinity(0)),
    }


def require_fast(rows: list[Row]) -> None:
    """Raise VerdictFailed where ffcv at REQUIRED_AT is not REQUIRED times as fast as torch."""
    row = next(row for row in rows if row.max_resolution == REQUIRED_AT)
    if not row.ratio >= REQUIRED:
        raise VerdictFailed(
            f"the ffcv loader at max_resolution {REQUIRED_AT} is {row.ratio:.2f} times as fast as "
            f"the torch loader; required: {REQUIRED:g}"
        )
