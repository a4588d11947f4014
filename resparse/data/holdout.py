"""Training images held out to validate on: how many, and which; part of the dataset's name.

cifar10 trains on all its images, as ``val=0``; cifar10:val=5k and cifar10:val=10% hold out 5,000
and a tenth, the same ones for every seed. A dataset that splits itself takes no such part.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from resparse.errors import UsageError
from resparse.seeds import generator

_PART = ":val="
_VALID = re.compile(r"([1-9]\d*)(k|%|)")
Splits = Mapping[str, tuple[Tensor, Tensor]]  # images and labels of "train", "test"


def parted(name: str) -> tuple[str, str]:
    """Dataset and hold-out, "" where all images train.

    >>> parted("cifar10:val=5k"), parted("cifar10")
    (('cifar10', '5k'), ('cifar10', ''))
    """
    dataset, _, val = name.partition(_PART)
    return dataset, val


def named(dataset: str, val: str) -> str:
    """The name of a dataset with another hold-out; "0": none.

    >>> named("cifar10", "5k"), named("cifar10:val=5k", "0")
    ('cifar10:val=5k', 'cifar10')
    """
    base, _ = parted(dataset)
    return base if val == "0" else f"{base}{_PART}{val}"


def held(val: str, images: int) -> int:
    """How many of ``images`` the hold-out takes; raises UsageError for another spelling.

    >>> held("", 50_000), held("5k", 50_000), held("10%", 50_000), held("128", 50_000)
    (0, 5000, 5000, 128)
    """
    if not val:
        return 0
    found = _VALID.fullmatch(val)
    number, unit = (int(found[1]), found[2]) if found else (images, "")
    count = {"": number, "k": 1000 * number, "%": images * number // 100}[unit]
    if not 0 < count < images:
        raise UsageError(
            f"val={val} of {images:,} training images; valid: a number of images (5000, 5k) or a "
            "share (10%) that leaves some of both; a dataset without :val= trains on all"
        )
    return count


def split(name: str, splits: Splits) -> dict[str, tuple[Tensor, Tensor]]:
    """``splits`` with "val" taken out of "train" as the dataset's ``name`` says, in stored order.

    Which images is decided by the dataset and the number alone; a larger hold-out has a smaller
    one's images among its own.
    """
    base, val = parted(name)
    images, labels = splits["train"]
    count = held(val, len(labels))
    if not count:
        return dict(splits)
    order = torch.randperm(len(labels), generator=generator(0, "hold-out", base))
    parts = {"val": order[:count].sort().values, "train": order[count:].sort().values}
    return dict(splits) | {part: (images[at], labels[at]) for part, at in parts.items()}
