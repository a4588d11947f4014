"""What a protocol asks of a dataset: images held out to validate on, borders to crop from.

It is part of the dataset's name: cifar10 trains on all its images, as ``val=0``, and crops from
black borders; cifar10:val=5000:pad=reflect holds out 5,000, the same ones for every seed, and
mirrors its borders. A dataset that splits itself takes no such part.
"""

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from resparse.errors import UsageError
from resparse.seeds import generator

_VALID = re.compile(r"([1-9]\d*)(k|%|)")
Splits = Mapping[str, tuple[Tensor, Tensor]]  # images and labels of "train", "test"


class Asked(NamedTuple):
    """The parts of a dataset's name."""

    dataset: str
    val: str = "0"  # as it was spelled: 5000, 5k, 10%
    pad: Literal["zero", "reflect"] = "zero"

    def named(self, images: int) -> str:
        """The one name of what is asked, whatever its spelling; ``images``: how many there are.

        >>> Asked("cifar10", "10%", "reflect").named(50_000), Asked("cifar10").named(50_000)
        ('cifar10:val=5000:pad=reflect', 'cifar10')
        """
        count = held(self.val, images)
        val, pad = f":val={count}" * (count > 0), f":pad={self.pad}" * (self.pad != "zero")
        return f"{self.dataset}{val}{pad}"


def asked(name: str) -> Asked:
    """The parts of a name; raises UsageError for others than a dataset's, val and pad.

    >>> asked("cifar10:val=5k"), asked("cifar10:pad=reflect").pad
    (Asked(dataset='cifar10', val='5k', pad='zero'), 'reflect')
    """
    dataset, *parts = name.split(":")
    said = dict(part.partition("=")[::2] for part in parts)
    val, pad = said.get("val", "0"), said.get("pad", "zero")
    twice, unknown = len(said) < len(parts), said.keys() - {"val", "pad"}
    if twice or unknown or pad not in ("zero", "reflect"):
        raise UsageError(
            f"dataset {name}; valid: {dataset}, then once at most :val=N and :pad=reflect or "
            ":pad=zero"
        )
    return Asked(dataset, val, "reflect" if pad == "reflect" else "zero")


def held(val: str, images: int) -> int:
    """How many of ``images`` the hold-out takes; raises UsageError for another spelling.

    >>> held("0", 50_000), held("5k", 50_000), held("10%", 50_000), held("128", 50_000)
    (0, 5000, 5000, 128)
    """
    if val == "0":
        return 0
    found = _VALID.fullmatch(val)
    number, unit = (int(found[1]), found[2]) if found else (images, "")
    count = {"": number, "k": 1000 * number, "%": images * number // 100}[unit]
    if not 0 < count < images:
        raise UsageError(
            f"val={val} of {images:,} training images; valid: a number of images (5000, 5k) or a "
            "share (10%) that leaves some of both; val=0 trains on all"
        )
    return count


def split(name: str, splits: Splits) -> dict[str, tuple[Tensor, Tensor]]:
    """``splits`` with "val" taken out of "train" as the dataset's ``name`` says, in stored order.

    Which images is decided by the dataset and the number alone; a larger hold-out has a smaller
    one's images among its own.
    """
    base, val, _ = asked(name)
    images, labels = splits["train"]
    count = held(val, len(labels))
    if not count:
        return dict(splits)
    order = torch.randperm(len(labels), generator=generator(0, "hold-out", base))
    parts = {"val": order[:count].sort().values, "train": order[count:].sort().values}
    return dict(splits) | {part: (images[at], labels[at]) for part, at in parts.items()}
