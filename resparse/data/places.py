"""Where a dataset's prepared files lie, and who may write there."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from resparse.errors import Missing, UsageError
from resparse.files import require_writable, sync_folder, writing

NO_ROOT = "no data root: give --data-root DIR or set RESPARSE_DATA"


def data_folder(given: str | Path | None) -> Path | None:
    """The datasets' folder, ``given`` or RESPARSE_DATA; raises UsageError where it is none."""
    root = given or os.environ.get("RESPARSE_DATA")
    if root and not Path(root).expanduser().is_dir():
        raise UsageError(
            f"data root {str(root)!r} is not a folder; valid: the folder with the datasets"
        )
    return Path(root).expanduser().resolve() if root else None


def require_root(name: str, root: Path | None) -> Path:
    """The data root; raises Missing where none was given."""
    if root is None:
        raise Missing(f"{NO_ROOT} ({name} is needed there)")
    return root


def prepared_folder(name: str, root: Path | None, given: Path | None = None) -> Path:
    """DIR/<name>, DIR being ``given`` (--prepared), RESPARSE_PREPARED or <root>/prepared."""
    named = given or os.environ.get("RESPARSE_PREPARED")
    if named:
        return Path(named).expanduser().resolve() / name
    return require_root(name, root) / "prepared" / name


@contextlib.contextmanager
def replacing(folder: Path, need_bytes: int) -> Iterator[Path]:
    """An empty folder beside ``folder`` that takes its place when the block ends without an error.

    What a killed command left there is deleted first. Raises Missing where nothing can be written,
    ``need_bytes`` are not free, or another process is at it.
    """
    try:
        require_writable(folder.parent, need_bytes)
    except Missing as error:
        raise Missing(f"{error}: give --prepared DIR or set RESPARSE_PREPARED") from error
    aside, old = (folder.with_name(f".{folder.name}.{kind}") for kind in ("tmp", "old"))
    with _lock(folder):
        try:
            with writing(aside):
                _remove(aside, old)
                aside.mkdir()
            yield aside
            with writing(folder):
                sync_folder(aside)
                if folder.exists():
                    folder.rename(old)
                aside.rename(folder)
                sync_folder(folder.parent)
        finally:
            _remove(aside, old)


def _remove(*folders: Path) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    with folder.with_name(f".{folder.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Missing(
                f"{folder} is being prepared by another process: wait or stop it"
            ) from None
        yield
