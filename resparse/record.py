"""Run: one training's resolved configuration; Record: its outcome; RunStore: where they lie."""

import dataclasses
import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from resparse.errors import RunFailed
from resparse.files import (
    canonical,
    file_sha256,
    read_json,
    sha256,
    sync_folder,
    write_atomic,
    write_json,
    writing,
)
from resparse.holding import held

SCHEMA = 1
KEY = "[0-9a-f]{16}"  # the name of a run's folder
STATUSES = ("completed", "diverged", "collapsed")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How the weights are trained, every number resolved; steps are optimizer steps."""

    batch_size: int
    steps: int
    lr: float
    lr_shape: str
    lr_drops: tuple[int, ...] = ()
    lr_factor: float = 0.1
    warmup: int = 0
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    sync_batch_norm: bool = False  # statistics over the batches of all processes together


@dataclass(frozen=True, kw_only=True)
class Run:
    """Everything that decides the numbers of one training; equal runs have equal keys."""

    model: str
    dataset: str
    dataset_sha256: str
    method: str
    fields: dict[str, Any] = field(hash=False)
    distribution: str
    density: float
    recipe: Recipe
    seed: int
    precision: str
    engine: str = "masked"
    parent: "Run | None" = None
    start_step: int = 0
    snapshots: tuple[int, ...] = ()
    method_sha256: str = ""  # of the file, where it comes from outside
    workload_sha256: str = ""
    test_every_epoch: bool = False  # to choose the best epoch on the test images, as some papers do

    @property
    def config(self) -> dict[str, Any]:
        """Plain JSON values of all fields."""
        config: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        above: dict[str, Any] | None = config
        while above is not None:  # a field that came later is left out at its default: keys stay
            for values, name in ((above, "test_every_epoch"), (above["recipe"], "sync_batch_norm")):
                if not values[name]:
                    del values[name]
            above = above["parent"]
        return config

    @cached_property
    def key(self) -> str:
        """First 16 hex digits of the canonical configuration's sha256."""
        return sha256(canonical(self.config))[:16]

    @staticmethod
    def from_config(config: dict[str, Any]) -> "Run":
        """The inverse of ``config``."""
        values = dict(config)
        recipe = dict(values.pop("recipe"))
        recipe["lr_drops"] = tuple(recipe["lr_drops"])
        parent = values.pop("parent")
        values["snapshots"] = tuple(values["snapshots"])
        return Run(
            recipe=Recipe(**recipe), parent=Run.from_config(parent) if parent else None, **values
        )


@dataclass(frozen=True, kw_only=True)
class Record:
    """What one finished run found; ``outcome`` holds only what the configuration decides."""

    key: str
    config: dict[str, Any] = field(hash=False)
    fingerprint: str
    status: str  # of STATUSES
    reason: str
    outcome: dict[str, Any] = field(hash=False)
    curves: dict[str, list[float]] = field(hash=False)
    provenance: dict[str, Any] = field(hash=False)
    schema: int = SCHEMA

    @property
    def run(self) -> Run:
        """The configuration as a Run."""
        return Run.from_config(self.config)

    @property
    def made_at(self) -> str:
        """The commit whose code made it, and whether that code had uncommitted changes."""
        commit = self.provenance["git_sha"][:12] or "no commit"
        return str(commit) + " + uncommitted changes" * bool(self.provenance["git_dirty"])

    @staticmethod
    def from_json(value: Any) -> "Record":
        """Read a record; raises RunFailed where schema, fields or key do not fit."""
        if not isinstance(value, dict):
            raise RunFailed(f"a record is a JSON object, not {type(value).__name__}")
        if value.get("schema") != SCHEMA:
            raise RunFailed(f"record schema {value.get('schema')!r}; this version reads {SCHEMA}")
        try:
            record = Record(**value)
            actual = record.run.key
        except (TypeError, KeyError) as error:
            raise RunFailed(f"record has wrong fields: {error}") from error
        if actual != record.key:
            raise RunFailed(f"record {record.key} does not belong to its configuration ({actual})")
        return record


class RunFolder:
    """runs/<key>/: manifest, events, checkpoints, tensors, record, and last the commit marker."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def committed(self) -> bool:
        """Whether a finished run lies here."""
        return (self.path / "COMMITTED").is_file()

    def event(self, **values: object) -> None:
        """Append one JSON line to events.jsonl; the order of the lines is theirs in time.

        The clock may be set back. What a kill or a full disk tore off is ended first.
        """
        line = canonical({"time": round(time.time(), 3), **values}) + "\n"
        path = self.path / "events.jsonl"
        with writing(path), path.open("ab+") as file:
            if file.tell() and file.seek(-1, os.SEEK_END) >= 0 and file.read() != b"\n":
                line = f"\n{line}"
            file.write(line.encode())

    @contextmanager
    def lock(self, *, wait: bool = False) -> Iterator[None]:
        """Hold the run for this process; the kernel lets go of it when the process ends.

        Where another process holds it, ``wait`` for its end and note that as an event, else raise
        RunFailed; both name it.
        """
        with held(self.path, wait=wait, note=self.event):
            yield

    def commit(self, record: Record, files: Iterable[str]) -> None:
        """Write record.json, then the marker with the hash of everything it commits."""
        write_json(self.path / "record.json", dataclasses.asdict(record))
        hashes = {name: file_sha256(self.path / name) for name in ("record.json", *files)}
        write_atomic(self.path / "COMMITTED", canonical(hashes))
        for old in self.path.glob("checkpoint-*"):
            with writing(old):
                shutil.rmtree(old)
        self._sweep()

    def begin(self, config: dict[str, Any], code: str) -> None:
        """Write the manifest; checkpoints that other code made are moved to a folder stale-<code>.

        They are kept, never continued: a run is the work of one code; "unknown" where a damaged or
        missing manifest does not say whose. What killed processes left half-written goes. To be
        called by who holds the lock.
        """
        self._sweep()
        manifest = self.path / "manifest.json"
        try:
            made_by = read_json(manifest)["code"]
        except (OSError, ValueError, TypeError, KeyError):
            made_by = "unknown"
        if made_by != code:
            for old in sorted(self.path.glob("checkpoint-*")):
                target = self.path / f"stale-{made_by}" / f"{old.name}-{time.time_ns()}"
                with writing(target):
                    target.parent.mkdir(exist_ok=True)
                    old.rename(target)
                self.event(event="checkpoint of other code set aside", to=str(target.name))
        write_json(manifest, {"config": config, "code": code})

    def _sweep(self) -> None:
        for left in self.path.glob(".*.tmp"):
            with writing(left):
                shutil.rmtree(left) if left.is_dir() else left.unlink()

    def verify(self) -> None:
        """Raise RunFailed unless every committed file still has its hash."""
        away = f"move {self.path} away and repeat the command to train the run again"
        try:
            hashes = read_json(self.path / "COMMITTED")
            if not isinstance(hashes, dict) or "record.json" not in hashes:
                raise ValueError("it names no record")
        except (OSError, ValueError) as error:
            raise RunFailed(f"{self.path / 'COMMITTED'} is damaged ({error}); {away}") from error
        for name, expected in hashes.items():
            path = self.path / name
            if not path.is_file() or file_sha256(path) != expected:
                raise RunFailed(f"{path} is not what was committed (changed or missing); {away}")

    def record(self) -> Record:
        """The committed record, verified."""
        self.verify()
        return Record.from_json(read_json(self.path / "record.json"))


class RunStore:
    """All runs below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def at(self, key: str) -> RunFolder:
        """The folder of a run key."""
        return RunFolder(self.root / key)

    def folder(self, run: Run) -> RunFolder:
        """Where ``run`` lies or will lie."""
        return self.at(run.key)

    def record(self, run: Run) -> Record | None:
        """The verified record of ``run``, or None where it is not committed."""
        folder = self.folder(run)
        return folder.record() if folder.committed else None

    def folders(self) -> list[RunFolder]:
        """Every run's folder, by key; empty where there is no store."""
        return [RunFolder(p) for p in sorted(self.root.glob("*")) if re.fullmatch(KEY, p.name)]

    def set_aside(self, run: Run, why: str) -> Path:
        """Move a run's folder to stale/ (nothing computed is lost) and say where it went."""
        source = self.root / run.key
        target = self.root / "stale" / f"{run.key}-{why}-{time.time_ns()}"
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            source.rename(target)
            sync_folder(self.root)
        return target
