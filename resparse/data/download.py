"""How an archive comes to the data root: downloaded aside, checked, renamed; or how to."""

import shutil
import urllib.error
from http.client import HTTPException
from pathlib import Path

from resparse.data.archive import Archive, check
from resparse.errors import Corrupt, Missing
from resparse.files import require_writable, sync_folder, writing


def fetch(archive: Archive, root: Path) -> Path:
    """root/<file>, checked; downloaded by torchvision first where it is not there.

    Raises Missing with where to put it when there is no way to get it, Corrupt where the file that
    is there, or what came, is another.
    """
    path = root / archive.file
    if path.is_file():
        check(archive, path)
        return path
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
    except (urllib.error.URLError, HTTPException, ConnectionError, TimeoutError) as error:
        reason = getattr(error, "reason", error)
        raise Missing(f"{archive.url} cannot be downloaded ({reason}): {by_hand}") from error
    try:
        check(archive, folder / archive.file, f"nothing of it was kept; repeat, or {by_hand}")
    except Corrupt as error:
        raise Corrupt(f"download: {error}") from error
