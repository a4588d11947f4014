"""What a record holds, key by key, and how much of it the run's own files bear out."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import ConfigDict, Field
from safetensors import safe_open

from resparse.errors import ResparseError, RunFailed
from resparse.files import file_sha256, read_json
from resparse.reading import NotNegative, Table, matching, read
from resparse.record import Record, Run
from resparse.workloads import shapes_of

WEIGHTS = "final.safetensors"
Digest = Annotated[str, matching("[0-9a-f]{64}", "64 hex digits")]
Percent = Annotated[float, Field(ge=0, le=100)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class TrainFlops(Table):
    """FLOPs of a whole run by what they are for."""

    init: NotNegative
    train: NotNegative
    parent: NotNegative


class Outcome(Table):
    """A record's outcome; what has a default only some runs have."""

    top1_last: Percent
    top1_best_val: Percent | None
    best_val_epoch: Count | None
    rs: Fraction
    rs_trained: Fraction
    nnz: dict[str, Count] = Field(min_length=1)
    maskable: Count
    total: Count
    updates: Count
    dense_forward_flops: NotNegative
    test_flops: NotNegative
    train_flops: TrainFlops
    train_flops_vs_dense: NotNegative
    masks_sha256: Digest
    weights_sha256: Digest
    top1_best_test: Percent | None = None
    best_test_epoch: Count | None = None
    rs_expected: Fraction | None = None
    rs_std: NotNegative | None = None
    rs_z: float | None = None
    starved: list[str] | None = None
    train_top1: Percent | None = None
    rs_miss: Fraction | None = None
    rs_fall: Fraction | None = None
    nnz_change: Count | None = None


class Provenance(Table):
    """What every record says of where it was made; there may be more."""

    model_config = ConfigDict(extra="allow")

    wall_s: NotNegative
    device: str


REQUIRED = tuple(name for name, key in Outcome.model_fields.items() if key.is_required())


def check(record: Record, folder: Path) -> None:
    """Raise RunFailed naming the key that is missing, no such value, or not what the files say.

    Of the outcome weights_sha256, nnz, maskable and, where method and network are the suite's,
    masks_sha256 are recomputed from the masks and weights in ``folder``. All else is believed: a
    forged accuracy, R_s or FLOPs would take a training to find. So is masks_sha256 of code from
    outside, for the order of its layers is known only by running it.
    """
    outcome = read_outcome(record, str(folder / "record.json"))
    file = folder / WEIGHTS
    if WEIGHTS not in read_json(folder / "COMMITTED"):
        raise RunFailed(f"{folder / 'COMMITTED'} names no {WEIGHTS}: nothing bears the outcome out")
    masks = masks_in(file)
    found: dict[str, object] = {
        "weights_sha256": file_sha256(file),
        "maskable": sum(mask.size for mask in masks.values()),
    }
    digests = [digest(masks, order) for order in orders_of(record.run) if set(order) == set(masks)]
    if digests and outcome.masks_sha256 not in digests:
        found["masks_sha256"] = digests[0]
    said: dict[str, object] = {key: getattr(outcome, key) for key in found}
    for name in masks.keys() | outcome.nnz.keys():
        found[f"nnz.{name}"] = int(masks[name].sum()) if name in masks else None
        said[f"nnz.{name}"] = outcome.nnz.get(name)
    for key in sorted(found):
        if said[key] != found[key]:
            raise RunFailed(
                f"{folder / 'record.json'}, outcome: {key} = {said[key]!r}; by {WEIGHTS} it is "
                f"{found[key]!r}"
            )


def read_outcome(record: Record, where: str) -> Outcome:
    """The outcome, typed; raises RunFailed naming the key of it or of the provenance at fault."""
    try:
        read(Provenance, record.provenance, "provenance")
        return read(Outcome, record.outcome, "outcome")
    except ResparseError as error:
        raise RunFailed(f"{where}, {error}") from error


def masks_in(file: Path) -> dict[str, np.ndarray]:
    """The masks of a safetensors file by layer, without its weights; raises RunFailed for none."""
    with safe_open(file, framework="numpy") as tensors:
        names = [name for name in tensors.keys() if name.startswith("mask/")]  # noqa: SIM118
        masks = {name.removeprefix("mask/"): tensors.get_tensor(name) for name in names}
    for name, mask in masks.items():
        if mask.dtype != np.bool_:
            raise RunFailed(f"{file}: mask/{name} is {mask.dtype}; valid: bool")
    if not masks:
        raise RunFailed(f"{file} holds no masks; valid: mask/<layer> for every layer")
    return masks


def orders_of(run: Run) -> list[list[str]]:
    """The orders that a run's layers may have been digested in; none where nobody knows.

    Masks come in network order, but a ticket takes its from the parent's file, by name.
    """
    if run.workload_sha256 or run.method_sha256:
        return []
    try:
        layers = list(shapes_of(run.model, run.dataset))
    except ResparseError:  # a model or dataset that this version does not have
        return []
    return [layers, sorted(layers)]


def digest(masks: dict[str, np.ndarray], layers: Sequence[str]) -> str:
    """sha256 over the masks in this order of layers, as masks.Masks.digest makes it."""
    found = hashlib.sha256()
    for name in layers:
        found.update(name.encode())
        found.update(masks[name].tobytes())
    return found.hexdigest()
