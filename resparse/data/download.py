"""How an archive comes to the data root: downloaded aside, checked, renamed; or how to."""

import contextlib
import shutil
import socket
import ssl
import sys
import urllib.error
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path

from resparse.data.archive import Archive, check
from resparse.errors import Corrupt, Missing
from resparse.files import require_writable, sync_folder, writing

# a server's faults as torchvision lets them through
_UNREACHED = (urllib.error.URLError, HTTPException, ConnectionError, TimeoutError, ssl.SSLError)
TIMEOUT_S = 60.0  # without a byte from the server


def fetch(archive: Archive, root: Path, timeout_s: float = TIMEOUT_S) -> Path:
    """root/<file>, checked; downloaded by torchvision first where it is not there.

    Raises Missing with where to put it when there is no way to get it or the server is silent for
    ``timeout_s``, Corrupt where the file that is there, or what came, is another.
    """
    path = root / archive.file
    if path.is_file():
        check(archive, path)
        return path
    if path.exists():
        raise Corrupt(f"{path} is not a file; valid: {archive.file} from {archive.url}; move it")
    by_hand = f"put {archive.file} from {archive.url} into {root}"
    try:
        require_writable(root, archive.size_bytes)
    except Missing as error:
        raise Missing(
            f"{path} is not there; {error}: give --data-root DIR, or {by_hand}"
        ) from error
    aside = root / f".{archive.file}.download"
    try:
        with writing(path):
            shutil.rmtree(
                aside, ignore_errors=True
            )  # torchvision would take what a killed one left
            aside.mkdir()
            with _no_silence(timeout_s), contextlib.redirect_stdout(sys.stderr):  # it prints
                _download(archive, aside, by_hand)
            (aside / archive.file).replace(path)
            sync_folder(root)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return path


def _download(archive: Archive, folder: Path, by_hand: str) -> None:
    from torchvision.datasets.utils import download_url

    try:
        download_url(archive.url, str(folder), archive.file)
    except _UNREACHED as error:
        reason = " ".join(str(getattr(error, "reason", error)).split())  # some have several lines
        raise Missing(f"{archive.url} cannot be downloaded ({reason}): {by_hand}") from error
    try:
        check(archive, folder / archive.file, f"nothing of it was kept; repeat, or {by_hand}")
    except Corrupt as error:
        raise Corrupt(f"download: {error}") from error


@contextlib.contextmanager
def _no_silence(timeout_s: float) -> Iterator[None]:
    """A server that says nothing for so long is a TimeoutError: torchvision would wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(timeout_s)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
