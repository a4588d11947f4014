"""The command `gc`: what of a run store could be freed, and, when told to, freeing it.

What a finished run has committed is never among it, nor anything of a run that a live process
holds, nor what this version does not know the meaning of.
"""

import contextlib
import errno
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from resparse.errors import ResparseError, RunFailed
from resparse.files import read_json, sync_folder, writing
from resparse.holding import locked
from resparse.record import Run, RunFolder, RunStore
from resparse.worker import code_of

KINDS = {
    "stale": "runs that were set aside: made by other code, or unfinished where one was imported",
    "stale checkpoints": "checkpoints of other code inside a run",
    "leftovers": "checkpoints of finished runs",
    "freeze": "stores of freezes at other commits than the one checked out, left unfinished",
    "regression": "stores of interrupted regressions, of other code or long untouched",
    "temporary": "files that a killed process was writing",
    "unfinished": "unfinished runs, which a repeated command would continue; --unfinished to free",
}
KEPT = "unfinished"  # freed only when asked for by name
DAY_S = 86_400.0


class Garbage(NamedTuple):
    """One file or folder that could be freed."""

    kind: str
    path: Path
    size_bytes: int
    age_days: int  # since anything in it was last written


def find(store: RunStore, *, commit: str, days: float) -> list[Garbage]:
    """All that could be freed, by kind and path; nothing is changed.

    ``commit`` is the one checked out, whose freeze may go on, as may a regression of today's code;
    that, unfinished and temporary things count once nothing in them was written for ``days``.
    """
    before = time.time() - days * DAY_S
    found = [*_in_store(store, commit, before)]
    for folder in store.folders():
        if not locked(folder.path):
            found += _in_run(folder, before)
    order = list(KINDS)
    return sorted(found, key=lambda item: (order.index(item.kind), item.path))


class Going(NamedTuple):
    """Unfinished runs that are no garbage yet, and why."""

    young: list[Garbage]  # written to within the days: a repeated command continues them
    held: list[Garbage]  # a live process is at them


def going(store: RunStore, *, days: float) -> Going:
    """The unfinished runs that ``find`` leaves out."""
    before = time.time() - days * DAY_S
    found = Going([], [])
    for folder in store.folders():
        if folder.committed:
            continue
        if locked(folder.path):
            found.held.append(_garbage(KEPT, folder.path))
        elif newest(folder.path) >= before:
            found.young.append(_garbage(KEPT, folder.path))
    return found


def _garbage(kind: str, path: Path) -> Garbage:
    return Garbage(kind, path, size(path), int((time.time() - newest(path)) // DAY_S))


def _in_store(store: RunStore, commit: str, before: float) -> Iterator[Garbage]:
    for path in (store.root / "stale").glob("*"):
        if not locked(path):
            yield _garbage("stale", path)
    for path in store.root.glob("freeze-*"):
        made_at = re.fullmatch(r"freeze-([0-9a-f]{40})(-.+)?", path.name)
        other = made_at and made_at[1] != commit
        if other and path.is_dir() and not in_use(path):
            yield _garbage("freeze", path)
    for path in store.root.glob("regression-*"):
        ours = re.fullmatch("regression-[0-9a-f]{12}", path.name) and path.is_dir()
        over = newest(path) < before or of_other_code(RunStore(path))
        if ours and over and not in_use(path):
            yield _garbage("regression", path)
    for folder in (store.root, store.root / "methods", store.root / "workloads"):
        yield from _temporary(folder, before)


def _in_run(folder: RunFolder, before: float) -> Iterator[Garbage]:
    path = folder.path
    if not folder.committed and newest(path) < before:
        yield _garbage("unfinished", path)
        return
    for old in path.glob("stale-*"):
        yield _garbage("stale checkpoints", old)
    if not folder.committed:
        return
    try:
        committed = set(read_json(path / "COMMITTED"))
    except (OSError, ValueError, TypeError):  # damaged: what belongs to the run is not known
        return
    for old in (*path.glob("checkpoint-*"), *path.glob(".checkpoint-*.tmp")):
        if old.name not in committed:
            yield _garbage("leftovers", old)
    yield from (g for g in _temporary(path, before) if not g.path.name.startswith(".checkpoint-"))


def _temporary(folder: Path, before: float) -> Iterator[Garbage]:
    """Files written aside, .NAME.PID.tmp, whose process is gone."""
    for path in folder.glob(".*.tmp"):
        pid = path.name.split(".")[-2]
        if pid.isdecimal() and not _alive(int(pid)) and newest(path) < before:
            yield _garbage("temporary", path)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno != errno.ESRCH
    return True


def in_use(path: Path) -> bool:
    """Whether a live process holds this folder or a run in it."""
    return any(map(locked, (path, *path.glob("*"))))


def of_other_code(store: RunStore) -> bool:
    """Whether a run in it was begun by other code than today's: none is continued then."""
    for folder in store.folders():
        try:
            manifest = read_json(folder.path / "manifest.json")
            if code_of(Run.from_config(manifest["config"])) != manifest["code"]:
                return True
        except (OSError, ValueError, TypeError, KeyError, ResparseError):
            continue  # begun by nobody knows whom
    return False


def _all_of(path: Path) -> Iterator[Path]:
    yield path
    if path.is_dir() and not path.is_symlink():
        yield from path.rglob("*")


def size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; a link counts as itself."""
    files = [p for p in _all_of(path) if p.is_symlink() or not p.is_dir()]
    return sum(file.lstat().st_size for file in files)


def newest(path: Path) -> float:
    """When anything in it was last written, in seconds since 1970."""
    return max(p.lstat().st_mtime for p in _all_of(path))


def free(item: Garbage, store: RunStore) -> None:
    """Delete it for good; raises RunFailed where a process has taken its run up meanwhile."""
    near = {item.path, item.path.parent}
    runs = [folder for folder in store.folders() if folder.path in near]
    with contextlib.ExitStack() as held:
        for run in runs:
            held.enter_context(run.lock())
        if in_use(item.path) and not runs:
            raise RunFailed(f"{item.path} is in use by now: repeat the command")
        if item.kind == "regression":  # one that is begun now waits, or is refused
            held.enter_context(RunFolder(item.path).lock())
        with writing(item.path):
            if item.path.is_dir() and not item.path.is_symlink():
                shutil.rmtree(item.path)
            else:
                item.path.unlink(missing_ok=True)
            sync_folder(item.path.parent)
