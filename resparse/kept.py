"""Committed records: reports/<paper>/records/<level>.jsonl, a record a line, each with its hash."""

import dataclasses
import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from resparse.errors import RunFailed
from resparse.evidence import read_outcome
from resparse.files import canonical, require_writable, sha256, write_atomic
from resparse.record import STATUSES, Record, Run

VALID = "valid: a line as `resparse reproduce` writes it, never edited by hand"


class Kept:
    """The records of one file by key; asked for a run like a RunStore, and never trained into."""

    def __init__(self, path: Path, records: Mapping[str, Record]) -> None:
        self.path, self.records = path, dict(sorted(records.items()))
        self.datasets = _datasets(path, self.records)

    def record(self, run: Run) -> Record | None:
        """The record of ``run``, or None where there is none."""
        return self.records.get(run.key)


def file(out: Path, paper: str, level: str) -> Path:
    """Where the records of a paper at a level lie below the folder of the reports."""
    return out / paper / "records" / f"{level}.jsonl"


def levels(out: Path, paper: str) -> list[str]:
    """The levels of which there are records."""
    return sorted(path.stem for path in (out / paper / "records").glob("*.jsonl"))


def read(path: Path) -> Kept:
    """The records of a file, none where it is not there; every line is verified.

    Raises RunFailed naming file and line for one that is torn, edited, not a record of this
    version, or of a key that is there already; and where a dataset's hash is not one.
    """
    if not path.is_file():
        return Kept(path, {})
    records: dict[str, Record] = {}
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):
        where = f"{path}:{number}"
        record = _record(line, where)
        if record.key in records:
            _refuse(where, f"key {record.key} is given twice; valid: each key once")
        records[record.key] = record
    if lines[-1]:
        _refuse(f"{path}:{len(lines)}", f"the last line is torn, it has no end; {VALID}")
    return Kept(path, records)


def merge(path: Path, records: Iterable[Record]) -> None:
    """Add ``records`` to the file, in place of those of the same key; it is whole or as it was.

    One process at a time. Raises RunFailed for what ``read`` refuses.
    """
    require_writable(path.parent)
    with _alone(path.parent):
        kept = Kept(path, read(path).records | {record.key: record for record in records})
        write_atomic(path, "".join(map(_line, kept.records.values())))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _line(record: Record) -> str:
    value = dataclasses.asdict(record)
    return canonical({"record": value, "sha256": sha256(canonical(value))}) + "\n"


def _record(line: bytes, where: str) -> Record:
    try:
        value: Any = json.loads(line)
        if not isinstance(value, dict) or set(value) != {"record", "sha256"}:
            raise ValueError('not {"record": ..., "sha256": ...}')
        whole = canonical(value["record"])  # refuses NaN
    except ValueError as error:
        _refuse(where, f"no record ({error}); {VALID}")
    if sha256(whole) != value["sha256"]:
        _refuse(where, f"not what was written, its sha256 is {sha256(whole)[:12]}...; {VALID}")
    try:
        record = Record.from_json(value["record"])
        read_outcome(record, "record")
    except RunFailed as error:
        _refuse(where, f"{error}; {VALID}")
    if record.status not in STATUSES:
        _refuse(where, f"status {record.status!r}; valid: {', '.join(STATUSES)}")
    return record


def _datasets(path: Path, records: Mapping[str, Record]) -> dict[str, str]:
    """The sha256 of each dataset, on which all records have to agree."""
    found: dict[str, tuple[str, str]] = {}
    for key, record in records.items():
        name, digest = record.config["dataset"], record.config["dataset_sha256"]
        first, known = found.setdefault(name, (key, digest))
        if digest != known:
            _refuse(
                str(path),
                f"records {first} and {key} are of two versions of {name} ({known[:12]}..., "
                f"{digest[:12]}...); valid: one",
            )
    return {name: digest for name, (_, digest) in found.items()}


def _refuse(where: str, what: str) -> NoReturn:
    raise RunFailed(
        f"{where}: {what}; restore the file with git, or move it away and repeat the commands "
        "that made it, with --from-records where the run store has the runs"
    )
