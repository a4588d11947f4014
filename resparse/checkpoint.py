"""Checkpoints that are whole and verified: tensors as safetensors, the rest as JSON."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save
from torch import Tensor

from resparse.files import (
    file_sha256,
    read_json,
    sha256,
    sync_folder,
    write_atomic,
    write_json,
    writing,
)

KEEP = 2


def save_tensors(path: Path, tensors: dict[str, Tensor]) -> str:
    """Write a safetensors file atomically; returns its sha256."""
    data = save({name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()})
    write_atomic(path, data)
    return sha256(data)


def save_checkpoint(
    folder: Path, step: int, tensors: dict[str, Tensor], state: dict[str, Any]
) -> None:
    """Write checkpoint-<step>, complete before it gets its name, and drop all but the last two."""
    target = folder / f"checkpoint-{step:09d}"
    aside = folder / f".{target.name}.tmp"
    shutil.rmtree(aside, ignore_errors=True)
    with writing(aside):
        aside.mkdir()
    digest = save_tensors(aside / "tensors.safetensors", tensors)
    write_json(aside / "state.json", {"step": step, "state": state, "tensors_sha256": digest})
    write_atomic(aside / "state.sha256", file_sha256(aside / "state.json"))
    shutil.rmtree(target, ignore_errors=True)
    with writing(target):
        aside.rename(target)
        sync_folder(folder)
    for old in sorted(folder.glob("checkpoint-*"))[:-KEEP]:
        shutil.rmtree(old)


def sound(path: Path) -> dict[str, Any]:
    """What state.json of a checkpoint says; raises OSError or ValueError where it is damaged."""
    if file_sha256(path / "state.json") != (path / "state.sha256").read_text():
        raise ValueError("state.json does not match its hash")
    meta: dict[str, Any] = read_json(path / "state.json")
    if file_sha256(path / "tensors.safetensors") != meta["tensors_sha256"]:
        raise ValueError("tensors.safetensors does not match its hash")
    return meta


def load_checkpoint(
    folder: Path, passed_over: Callable[[str], None]
) -> tuple[int, dict[str, Tensor], dict[str, Any]] | None:
    """The newest checkpoint that verifies, as (step, tensors, state); None where there is none.

    A damaged one is never used: ``passed_over`` is told of it and the one before is tried.
    """
    for path in sorted(folder.glob("checkpoint-*"), reverse=True):
        try:
            meta = sound(path)
            tensors = load_file(path / "tensors.safetensors")
        except (OSError, ValueError) as error:
            passed_over(f"{path.name}: {error}")
            continue
        return meta["step"], tensors, meta["state"]
    return None
