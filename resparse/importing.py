"""The command `import`: verified records of another run store, added to this one.

Nothing of what is imported is executed, and a record is copied as it is: its hash is committed.
So accuracies, R_s and FLOPs are believed, not recomputed: who can write a store can forge them.
Masks, their counts and the weights' hash are held against the files (evidence.check). What was
imported from where is an event of the run's events.jsonl.
"""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from resparse import evidence
from resparse.errors import ResparseError, RunFailed, UsageError
from resparse.files import file_sha256, read_json, sync_folder, writing
from resparse.outside import copied, copy_of
from resparse.record import KEY, STATUSES, Record, Run, RunFolder, RunStore
from resparse.worker import code_of

BESIDE = ("manifest.json", "events.jsonl")  # copied as well, committed or not


@dataclass
class Imported:
    """Keys by what became of them; ``refused`` also says why, ``stale`` and ``unknown`` are added.

    The code of a workload from outside is ``unknown``: which it has would take running it.
    """

    added: list[str] = field(default_factory=list)
    already: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)  # made by other code than ours
    unknown: list[str] = field(default_factory=list)  # by ours or by other code
    refused: dict[str, str] = field(default_factory=dict)


def find_store(folder: Path) -> Path:
    """The one run store that ``folder`` is or contains; raises UsageError for none or several."""
    found = sorted({p.parent.parent for p in folder.rglob("*/COMMITTED") if _is_key(p.parent.name)})
    if folder in found:
        return folder
    if len(found) != 1:
        said = ", ".join(str(path) for path in found) or "none"
        raise UsageError(f"{folder} contains these run stores: {said}; valid: a folder with one")
    return found[0]


def import_runs(source: RunStore, target: RunStore, *, dry_run: bool) -> Imported:
    """Verify every committed run of ``source`` and add those that ``target`` lacks, parents first.

    Refused are: what does not verify, what ``target`` has with another outcome, a run whose parent
    is refused or in neither store. A run is added whole or not at all. ``dry_run`` writes nothing.
    """
    done, records = Imported(), dict[str, Record]()
    for folder in source.folders():
        if not folder.committed:
            done.unfinished.append(folder.path.name)
            continue
        try:
            records[folder.path.name] = verified(folder)
        except RunFailed as error:
            done.refused[folder.path.name] = str(error)
    for key in _parents_first(records):
        try:
            _require_parent(records[key].run, done, target)
            if _has(target, records[key]):
                done.already.append(key)
                continue
            if not dry_run:
                _add(source, target, records[key])
            done.added.append(key)
            if records[key].run.workload_sha256:
                done.unknown.append(key)
            elif _stale(records[key], source):
                done.stale.append(key)
        except RunFailed as error:
            done.refused[key] = str(error)
    return done


def verified(folder: RunFolder) -> Record:
    """The record of a folder that someone else wrote; raises RunFailed for anything amiss."""
    try:
        for name in read_json(folder.path / "COMMITTED"):
            if Path(name).name != name or name.startswith("."):
                raise RunFailed(f"{folder.path / 'COMMITTED'} names {name!r}, no file of its own")
        record = folder.record()
        run = record.run
        if record.key != folder.path.name:
            raise RunFailed(f"{folder.path} holds the record of another run, {record.key}")
        if record.status not in STATUSES:
            raise RunFailed(f"{folder.path}: status {record.status!r} is none that a run ends with")
        for kind, name, digest in outside_files(run):
            if not name.isidentifier() or not re.fullmatch("[0-9a-f]{64}", digest):
                raise RunFailed(f"{folder.path}: {name!r} is no name of a file in {kind}/")
            copy = copy_of(folder.path.parent, kind, name, digest)
            if not copy.is_file() or file_sha256(copy) != digest:
                raise RunFailed(f"{copy}, which run {record.key} names, is changed or missing")
        evidence.check(record, folder.path)
    except RunFailed:
        raise
    except Exception as error:  # whatever a foreign file may hold
        raise RunFailed(f"{folder.path} is no run: {type(error).__name__}: {error}") from error
    return record


def outside_files(run: Run) -> Iterator[tuple[str, str, str]]:
    """(folder of the store, name, sha256) of the files from outside that ``run`` names."""
    if run.method_sha256:
        yield "methods", run.method, run.method_sha256
    if run.workload_sha256:
        yield "workloads", run.model, run.workload_sha256


def _stale(record: Record, source: RunStore) -> bool:
    """Whether our code differs from the record's, whose method may be a copy in ``source``."""
    try:
        return code_of(record.run, source.root) != record.fingerprint
    except (ResparseError, KeyError, OSError, SyntaxError):  # of a method, model or dataset that
        return True  # this version does not have


def _is_key(name: str) -> bool:
    return re.fullmatch(KEY, name) is not None


def _parents_first(records: dict[str, Record]) -> list[str]:
    def depth(run: Run | None) -> int:
        return 0 if run is None else 1 + depth(run.parent)

    return sorted(records, key=lambda key: (depth(records[key].run), key))


def _require_parent(run: Run, done: Imported, target: RunStore) -> None:
    """Raise RunFailed for a child whose parent did not come: both would be trained again."""
    if run.parent is None:
        return
    key = run.parent.key
    if key in done.refused:
        raise RunFailed(f"its parent {key} is refused")
    if key not in (*done.added, *done.already) and target.record(run.parent) is None:
        raise RunFailed(f"its parent {key} is in neither store: import that as well")


def _has(target: RunStore, record: Record) -> bool:
    """Whether ``target`` has the very outcome; raises RunFailed where it has another."""
    ours = target.record(record.run)
    if ours is None:
        return False
    if (ours.status, ours.outcome) != (record.status, record.outcome):
        differ = [k for k in record.outcome if record.outcome[k] != ours.outcome.get(k)]
        by = f"(code {record.fingerprint}, here {ours.fingerprint})"
        raise RunFailed(
            f"{target.at(record.key).path} has another outcome {by}: {', '.join(differ)}; "
            "to take the imported one move ours away and repeat"
        )
    return True


def _add(source: RunStore, target: RunStore, record: Record) -> None:
    """Copy aside in the target store, verify the copy, rename; an unfinished run gives way."""
    there, here = source.at(record.key), target.at(record.key)
    aside = RunFolder(target.root / f".import-{record.key}.{os.getpid()}.tmp")
    with writing(aside.path):
        aside.path.mkdir(parents=True)
    try:
        names = [*read_json(there.path / "COMMITTED"), "COMMITTED", *BESIDE]
        for name in names:
            if (there.path / name).is_file():
                _copy(there.path / name, aside.path / name)
        aside.event(event="imported", source=str(there.path))
        if aside.record() != record:
            raise RunFailed(f"{there.path} changed while it was copied")
        for kind, name, digest in outside_files(record.run):
            copied(copy_of(source.root, kind, name, digest), target.root, kind, name)
        if here.path.is_dir():
            with here.lock():  # a live process is never robbed of its run
                target.set_aside(record.run, "unfinished")
        with writing(here.path):
            sync_folder(aside.path)
            aside.path.rename(here.path)
            sync_folder(target.root)
    finally:
        shutil.rmtree(aside.path, ignore_errors=True)


def _copy(source: Path, target: Path) -> None:
    with writing(target), source.open("rb") as old, target.open("wb") as new:
        shutil.copyfileobj(old, new)
        new.flush()
        os.fsync(new.fileno())
