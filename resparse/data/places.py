"""Where a dataset's prepared files lie, and who may write there."""

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from resparse.errors import Missing, UsageError
from resparse.files import require_writable, sync_folder, writing

_OURS = re.compile(r"manifest\.json|.+\.(safetensors|sha256|beton|beton\.json)|\..+\.tmp")
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
def reading(folder: Path) -> Iterator[None]:
    """What of ``folder`` cannot be read inside is Missing: a closed file, a broken disk."""
    try:
        yield
    except OSError as error:
        path = error.filename or f"a file in {folder}"
        raise Missing(
            f"{path} cannot be read: {error.strerror}; make it readable, or copy {folder} to "
            f"another disk"
        ) from error


@contextlib.contextmanager
def replacing(folder: Path, need_bytes: int) -> Iterator[Path]:
    """An empty folder beside ``folder`` that takes its place when the block ends without an error.

    What a killed command left there is deleted first, but for a dataset that it had put aside,
    which is put back. Raises Missing where nothing can be written, ``need_bytes`` are not free, or
    another process is at it; UsageError where ``folder`` holds what no prepare made.
    """
    folder = folder.resolve()  # a link to another disk stays one
    try:
        require_writable(folder.parent, need_bytes)
    except Missing as error:
        raise Missing(f"{error}: give --prepared DIR or set RESPARSE_PREPARED") from error
    aside, old = (folder.with_name(f".{folder.name}.{kind}") for kind in ("tmp", "old"))
    with _lock(folder):
        _require_ours(folder)
        try:
            with writing(aside):
                _clear(folder, aside, old)
                aside.mkdir()
            yield aside
            with writing(folder):
                sync_folder(aside)
                if folder.exists():
                    folder.rename(old)
                aside.rename(folder)
                sync_folder(folder.parent)
        finally:
            with writing(folder):
                _clear(folder, aside, old)


def _clear(folder: Path, aside: Path, old: Path) -> None:
    """Delete what is beside ``folder``; ``old`` goes back where nothing took its place."""
    if old.is_dir() and not folder.exists():
        old.rename(folder)
    for left in (aside, old):
        shutil.rmtree(left, ignore_errors=True)


def _require_ours(folder: Path) -> None:
    """Raise UsageError where something would be lost that is not a prepared dataset's file."""
    found = None
    if folder.is_dir():
        names = sorted(path.name for path in folder.iterdir())
        found = next((folder / name for name in names if not _OURS.fullmatch(name)), None)
    elif folder.exists():
        found = folder
    if found is not None:
        raise UsageError(
            f"prepared files would take the place of {found}, which is none of them; valid: "
            f"a --prepared DIR or RESPARSE_PREPARED of their own; or move it away"
        )


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    path = folder.with_name(f".{folder.name}.lock")
    with contextlib.ExitStack() as stack:
        with writing(path):
            file = stack.enter_context(path.open("w"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Missing(
                    f"{folder} is being prepared by another process: wait or stop it"
                ) from None
        yield
