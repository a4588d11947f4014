"""Is this file the archive it should be, and what is in it; nothing is ever unpacked to disk."""

import hashlib
import os
import tarfile
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from resparse.data.jpeg import looks_like_html
from resparse.errors import Corrupt

_STARTS = {".gz": b"\x1f\x8b", ".zip": b"PK"}


@dataclass(frozen=True)
class Archive:
    """One published file; ``digest`` is "<algorithm>:<hex>" of its bytes."""

    file: str
    size_bytes: int
    digest: str
    url: str


def check(archive: Archive, path: Path, remedy: str = "") -> None:
    """Raise Corrupt unless the file is the archive: no web page, no half download, right digest.

    ``remedy`` is what to do; default: to get it again.
    """
    with path.open("rb") as file:
        start = file.read(256)
    size, valid = path.stat().st_size, f"valid: {archive.size_bytes:,} bytes, {archive.digest}"
    remedy = remedy or f"delete it and get {archive.url} again"
    if looks_like_html(start):
        raise Corrupt(f"{path} is an HTML page saved as an archive; {valid}; {remedy}")
    if start and not start.startswith(_STARTS[path.suffix]):
        kind = "gzip" if path.suffix == ".gz" else "zip"
        raise Corrupt(f"{path} is not a {kind} archive; {valid}; {remedy}")
    if size < archive.size_bytes:
        raise Corrupt(f"{path} is an interrupted download of {size:,} bytes; {valid}; {remedy}")
    algorithm = archive.digest.partition(":")[0]
    with path.open("rb") as file:
        found = f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"
    if found != archive.digest:
        raise Corrupt(f"{path} has the wrong checksum {found}; {valid}; {remedy}")


def require_inside(path: Path, member: str) -> None:
    """Raise Corrupt for a member whose name leads out of the archive's own folder."""
    if PurePosixPath(member).is_absolute() or ".." in PurePosixPath(member).parts:
        raise Corrupt(
            f"{path}: member {member!r} leads out of the archive's folder; valid: relative names "
            f"without ..; delete the archive, it is not the published one"
        )


def read_tar(path: Path) -> dict[str, bytes]:
    """A tar archive's files in memory by their last name (CIFAR's are 180 MB and named apart).

    Raises Corrupt for names that lead outside, links, devices, and archives that end early.
    """
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(path, "r:gz") as tar:
            for member in tar:
                require_inside(path, member.name)
                if not (member.isfile() or member.isdir()):
                    raise Corrupt(
                        f"{path}: member {member.name!r} is a link or a device; valid: files and "
                        f"folders; delete the archive, it is not the published one"
                    )
                file = tar.extractfile(member)
                if file is not None:
                    found[PurePosixPath(member.name).name] = file.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise Corrupt(f"{path} cannot be read ({error}): delete it and get it again") from error
    return found


class Tree:
    """The files below a folder, or those of a zip archive under its one top folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zip = None if path.is_dir() else _opened(path)
        self.names = sorted(self._zip_names() if self._zip else self._folder_names())

    def _folder_names(self) -> list[str]:
        names: list[str] = []
        for where, folders, files in os.walk(self.path):
            folder = Path(where)
            for name in (*folders, *files):
                if wrong := _not_plain(folder / name):
                    raise Corrupt(
                        f"{os.fsencode(folder / name)!r} {wrong}; valid: the files and folders of "
                        f"the published archive; delete it, or put them in its place"
                    )
            names += [(folder / name).relative_to(self.path).as_posix() for name in files]
        return names

    def _zip_names(self) -> list[str]:
        assert self._zip is not None
        names: list[str] = []
        top = f"{self.path.stem}/"
        for member in self._zip.infolist():
            require_inside(self.path, member.filename)
            if not member.filename.startswith(top):
                raise Corrupt(
                    f"{self.path}: member {member.filename!r} is not in its folder {top}; delete "
                    f"the archive, it is not the published one"
                )
            if (member.external_attr >> 28) == 0xA:  # the Unix file type of a symbolic link
                raise Corrupt(
                    f"{self.path}: member {member.filename!r} is a link; valid: files and folders; "
                    f"delete the archive, it is not the published one"
                )
            if not member.is_dir():
                names.append(member.filename.removeprefix(top))
        name, times = Counter(names).most_common(1)[0] if names else ("", 0)
        if times > 1:
            raise Corrupt(
                f"{self.path}: member {name!r} is there {times} times; valid: once; delete the "
                f"archive, it is not the published one"
            )
        return names

    def read(self, name: str) -> bytes:
        """A file's bytes; raises Corrupt where it cannot be read or fails a zip's check sum."""
        try:
            if self._zip is None:
                return (self.path / name).read_bytes()
            return self._zip.read(f"{self.path.stem}/{name}")
        except OSError as error:
            raise Corrupt(f"{self.path}: {name} cannot be read: {error.strerror}") from error
        except (zipfile.BadZipFile, EOFError, RuntimeError, ValueError, zlib.error) as error:
            raise Corrupt(f"{self.path}: member {name!r} is damaged ({error})") from error

    def text(self, name: str) -> list[str]:
        """A text file's lines; raises Corrupt where it is not there or not UTF-8."""
        if name not in self.names:
            raise Corrupt(
                f"{self.path} has no {name}; valid: the dataset's original layout; get it again"
            )
        try:
            return self.read(name).decode().splitlines()
        except UnicodeDecodeError as error:
            raise Corrupt(
                f"{self.path}: {name} is no text ({error}); valid: UTF-8 as in the original"
            ) from error


def _not_plain(path: Path) -> str | None:
    """What is wrong with an entry of a folder that is to be read through."""
    if not path.name.isprintable():
        return "has no printable name"
    if path.is_dir():
        return "is a link to a folder" if path.is_symlink() else None
    return None if path.is_file() else "is neither a file nor a folder"


def _opened(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, NotImplementedError, UnicodeDecodeError) as error:
        raise Corrupt(f"{path} cannot be read ({error}): delete it and get it again") from error
