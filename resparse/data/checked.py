"""What the splits of an in-memory dataset must be, said before anything is trained on them."""

from collections.abc import Mapping

import torch

from resparse.errors import UsageError


def require_images(name: str, classes: int, splits: Mapping[str, object]) -> None:
    """Raise UsageError naming the first split that is not what ``InMemory`` holds, and what it is.

    Float images would be normalised a second time, and nothing but a poor accuracy would say so.
    """
    for split, parts in sorted(splits.items()):
        if wrong := _fault(classes, parts):
            raise UsageError(f"dataset {name}, split {split}: {wrong}")
    if not _count(splits.get("train")):
        found = ", ".join(f"{split} ({_count(splits[split])})" for split in sorted(splits))
        raise UsageError(
            f"dataset {name}: splits are {found or 'none'}; valid: train with at least one image"
        )


def _count(parts: object) -> int:
    """Images of a split that has no fault; 0 where there is none."""
    return len(parts[1]) if isinstance(parts, tuple | list) else 0


def _fault(classes: int, parts: object) -> str | None:
    """What is wrong with the images and labels of a split, and what is valid."""
    if not isinstance(parts, tuple | list) or len(parts) != 2:
        return f"it is a {type(parts).__name__}; valid: images and labels, two tensors"
    images, labels = parts
    if not _is(images, torch.uint8, 4):
        return f"images are {_said(images)}; valid: a uint8 tensor (N, C, H, W) of pixels 0 to 255"
    if not _is(labels, torch.int64, 1):
        return f"labels are {_said(labels)}; valid: an int64 tensor (N,)"
    if len(images) != len(labels):
        return f"{len(images)} images and {len(labels)} labels; valid: as many"
    low, high = (int(x) for x in torch.aminmax(labels)) if len(labels) else (0, 0)
    if low < 0 or high >= classes:
        return f"labels from {low} to {high}; valid: 0 to {classes - 1}, for {classes} classes"
    return None


def _is(value: object, dtype: torch.dtype, axes: int) -> bool:
    return isinstance(value, torch.Tensor) and value.dtype == dtype and value.ndim == axes


def _said(value: object) -> str:
    """The type of a value that should have been a tensor, or its dtype and shape."""
    if not isinstance(value, torch.Tensor):
        return f"a {type(value).__name__}"
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
