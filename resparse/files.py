"""Files that are whole or not there: written aside, flushed, renamed; and their hashes."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from resparse.errors import DiskFull, Missing


def canonical(value: object) -> str:
    """JSON with sorted keys and no spaces; refuses NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def sha256(data: bytes | str) -> str:
    """Hex digest of bytes or of a UTF-8 text."""
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


def file_sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Make renames inside ``folder`` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """What goes wrong inside while ``path`` is written is Missing: a full disk, a closed folder."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"disk full while writing {path}: free some space and repeat") from error
        raise Missing(f"cannot write {path}: {error.strerror}") from error


def write_atomic(path: Path, data: bytes | str) -> None:
    """Write aside in the same folder, flush, rename over ``path``; the old file stays until then.

    Raises Missing when the disk is full or the folder cannot be written.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with writing(path):
        try:
            with aside.open("wb") as file:
                file.write(data.encode() if isinstance(data, str) else data)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
            sync_folder(path.parent)
        except OSError:
            with contextlib.suppress(OSError):
                aside.unlink()
            raise


def write_json(path: Path, value: object) -> None:
    """Atomic, indented, sorted, strict JSON."""
    write_atomic(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """The file's value; raises ValueError where it is not JSON."""
    return json.loads(path.read_text())


def require_writable(folder: Path, need_bytes: int = 0) -> None:
    """Raise Missing unless files can be made in ``folder`` and ``need_bytes`` are free there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x" * 4096)
            file.flush()
    except OSError as error:
        reason = error.strerror or str(error)
        raise Missing(f"output folder {folder} cannot be written: {reason}") from error
    free = shutil.disk_usage(folder).free
    if free < need_bytes:
        raise Missing(
            f"output folder {folder} has {free / 1e9:.2f} GB free, {need_bytes / 1e9:.2f} GB needed"
        )
