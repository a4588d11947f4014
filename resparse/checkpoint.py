"""Checkpoints that are whole, verified and of their run: safetensors, and the rest as JSON."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from resparse.errors import Missing
from resparse.files import file_sha256, sha256, sync_folder, write_atomic, write_json, writing

KEEP = 2


def save_tensors(path: Path, tensors: dict[str, Tensor]) -> str:
    """Write a safetensors file atomically; returns its sha256."""
    data = save({name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()})
    write_atomic(path, data)
    return sha256(data)


def load_tensors(path: Path, expected: str | None = None) -> dict[str, Tensor]:
    """A safetensors file's tensors, of the very bytes whose sha256 is ``expected``.

    They are read, not mapped: a mapped file is read again later, and unverified. Raises OSError, or
    ValueError naming the file. Nothing in it is executed: a pickle is no safetensors file.
    """
    data = path.read_bytes()
    if expected is not None and sha256(data) != expected:
        raise ValueError(f"{path.name} does not match its hash")
    try:
        return dict(sorted(load(data).items()))  # it gives them in another order each time
    except SafetensorError as error:  # which is no ValueError
        raise ValueError(f"{path.name} is no safetensors file ({error})") from error


def save_checkpoint(
    folder: Path, step: int, tensors: dict[str, Tensor], state: dict[str, Any], *, run: str
) -> None:
    """Write checkpoint-<step> of the run with key ``run``, complete before it gets its name.

    All but the last two that are not of a later step go: a later one was passed over when the
    training was resumed, and must not push out a sound one.
    """
    target = folder / f"checkpoint-{step:09d}"
    aside = folder / f".{target.name}.tmp"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        with writing(aside):
            aside.mkdir()
        digest = save_tensors(aside / "tensors.safetensors", tensors)
        meta = {"run": run, "step": step, "state": state, "tensors_sha256": digest}
        write_json(aside / "state.json", meta)
        write_atomic(aside / "state.sha256", file_sha256(aside / "state.json"))
    except Missing:
        shutil.rmtree(aside, ignore_errors=True)  # on a full disk its space is needed
        raise
    with writing(target):
        shutil.rmtree(target, ignore_errors=True)
        aside.rename(target)
        sync_folder(folder)
        reached = [p for p in sorted(folder.glob("checkpoint-*")) if p.name <= target.name]
        for old in reached[:-KEEP]:
            shutil.rmtree(old)


def sound(path: Path, run: str) -> None:
    """Raise OSError or ValueError where a checkpoint is damaged or not one of ``run``."""
    if file_sha256(path / "tensors.safetensors") != _stated(path, run)["tensors_sha256"]:
        raise ValueError("tensors.safetensors does not match its hash")


def _stated(path: Path, run: str) -> dict[str, Any]:
    """What state.json says; raises as ``sound``."""
    text = (path / "state.json").read_bytes()
    if sha256(text).encode() != (path / "state.sha256").read_bytes():
        raise ValueError("state.json does not match its hash")
    try:
        meta: dict[str, Any] = json.loads(text)
        of, name = meta["run"], f"checkpoint-{meta['step']:09d}"
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError("state.json is no JSON that names a run and a step") from error
    if of != run:
        raise ValueError(f"it is of run {of}, not of {run}")
    if name != path.name:
        raise ValueError(f"it is {name} under another name")
    return meta


def load_checkpoint(
    folder: Path, run: str, passed_over: Callable[[str], None]
) -> tuple[int, dict[str, Tensor], dict[str, Any]] | None:
    """The newest sound checkpoint of ``run``, as (step, tensors, state); None where there is none.

    By its step, whatever the clock said. A damaged one, or one of another run, is never used:
    ``passed_over`` is told of it and the one before is tried.
    """
    for path in sorted(folder.glob("checkpoint-*"), reverse=True):
        try:
            meta = _stated(path, run)
            tensors = load_tensors(path / "tensors.safetensors", meta["tensors_sha256"])
        except (OSError, ValueError) as error:
            passed_over(f"{path.name}: {error}")
            continue
        return meta["step"], tensors, meta["state"]
    return None
