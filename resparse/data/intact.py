"""Are a prepared dataset's manifest and tensors what the dataset is, and each what the other says?

Their bytes were hashed before: what is looked for here is a manifest that agrees with wrong files.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from resparse.data import counts, duplicates, manifest, tensors
from resparse.data.manifest import Manifest
from resparse.data.spec import Spec
from resparse.errors import Corrupt

Splits = Mapping[str, tuple[Tensor, Tensor]]  # images and labels


def files(spec: Spec) -> set[str]:
    """What lies beside the manifest."""
    return {f"{split}.safetensors" for split in spec.per_class}


def require_manifest(spec: Spec, folder: Path, said: Manifest) -> None:
    """Raise Corrupt unless it speaks of the files, counts, shape and classes of the dataset."""
    expected = {split: [count] * spec.classes for split, count in spec.per_class.items()}
    names = list(spec.names) or said.classes
    twice = counts.duplicate_class(said.classes)
    for what, found, valid in (
        ("files are", sorted(said.files), sorted(files(spec))),
        ("images_per_class are", said.images_per_class, expected),
        ("image_shape is", said.image_shape, list(spec.image_shape)),
        ("classes are", said.classes, names),
        ("number of classes is", len(said.classes), spec.classes),
        ("class that is there twice is", twice, None),
    ):
        if found != valid:
            raise _corrupt(spec, folder, what, found, valid)


def require_tensors(spec: Spec, folder: Path, said: Manifest, splits: Splits) -> None:
    """Raise Corrupt unless the images are as many, as large and of such a mean as it says."""
    for split, (images, labels) in splits.items():
        found = (images.dtype, labels.dtype, tuple(images.shape), _per_class(spec, labels))
        count = spec.classes * spec.per_class[split]
        per_class = said.images_per_class[split]
        if found != (torch.uint8, torch.int64, (count, *spec.image_shape), per_class):
            raise Corrupt(
                f"{folder}/{split}.safetensors is not what its manifest says; "
                f"{manifest.remedy(spec.name)}"
            )
    mean, std = tensors.statistics(splits["train"][0])
    for what, is_said, of_pixels in (("mean is", said.mean, mean), ("std is", said.std, std)):
        if is_said != of_pixels:
            raise _corrupt(spec, folder, what, is_said, of_pixels)


def require_duplicates(spec: Spec, folder: Path, said: Manifest, splits: Splits) -> None:
    """Raise Corrupt unless as many images of the same splits are equal as it names.

    What they are called is not in the tensors.
    """
    digests, of = bytearray(), []
    for split, (images, _) in splits.items():
        digests += tensors.digests(images)
        of += [split] * len(images)
    valid = [[of[i], of[j]] for i, j in duplicates.pairs(digests)]
    found = [[name.partition(": ")[0] for name in pair] for pair in said.duplicates]
    if found != valid:
        raise _corrupt(spec, folder, "splits of duplicates are", found, valid)


def _per_class(spec: Spec, labels: Tensor) -> list[int]:
    """Images by label; empty where a label is none."""
    if labels.dtype != torch.int64 or labels.ndim != 1 or bool((labels < 0).any()):
        return []
    found: list[int] = labels.bincount(minlength=spec.classes).tolist()
    return found


def _corrupt(spec: Spec, folder: Path, what: str, found: object, valid: object) -> Corrupt:
    path, remedy = folder / manifest.FILE, manifest.remedy(spec.name)
    return Corrupt(f"{path}: its {what} {_short(found)}; valid: {_short(valid)}; {remedy}")


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 200 else f"{text[:200]} ..."
