"""A split as one safetensors file: images uint8 (N, C, H, W) and labels int64 (N,)."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from resparse.data.duplicates import DIGEST_BYTES
from resparse.data.spec import Split
from resparse.errors import Corrupt
from resparse.files import writing


def write(path: Path, split: Split, image_shape: tuple[int, ...]) -> tuple[str, bytearray]:
    """Stream the images to ``path``; the file's sha256, and each image's digest.

    The header is written here because safetensors' own writer takes whole tensors, twice in
    memory: 2.5 GB for Tiny-ImageNet. Its reader checks the file on every load.
    """
    whole, digests = hashlib.sha256(), bytearray()
    with writing(path), path.open("wb") as file:
        for data in _parts(split, image_shape, digests):
            whole.update(data)
            file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return whole.hexdigest(), digests


def _parts(split: Split, image_shape: tuple[int, ...], digests: bytearray) -> Iterator[bytes]:
    count = len(split.labels)
    size = count * int(np.prod(image_shape))
    tensors = {
        "images": {"dtype": "U8", "shape": [count, *image_shape], "data_offsets": [0, size]},
        "labels": {"dtype": "I64", "shape": [count], "data_offsets": [size, size + 8 * count]},
    }
    header = json.dumps(tensors).encode()
    header += b" " * (-len(header) % 8)
    yield len(header).to_bytes(8, "little") + header
    written = 0
    for image in split.pixels():
        assert image.shape == image_shape, "a source checks the size of its images"
        data = image.tobytes()
        digests += _digest(data)
        written += 1
        yield data
    assert written == count, "a source has a label for each image"
    yield np.asarray(split.labels, dtype="<i8").tobytes()


def _digest(image: bytes) -> bytes:
    return hashlib.sha256(image).digest()[:DIGEST_BYTES]


def digests(images: Tensor) -> bytearray:
    """Of each image what ``write`` gave for it."""
    return bytearray().join(_digest(image.tobytes()) for image in images.numpy())


def read(path: Path) -> tuple[Tensor, Tensor]:
    """Images and labels; raises Corrupt where the file is not one of ours."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
        return tensors["images"], tensors["labels"]
    except (SafetensorError, KeyError) as error:
        raise Corrupt(f"{path} is not a split's tensors: {error!r}; prepare it again") from error


def statistics(images: Tensor) -> tuple[list[float], list[float]]:
    """Mean and population standard deviation of each channel, in pixel values 0 to 255.

    From exact integer sums, so that they are the same on every machine.
    """
    channels = images.shape[1]
    times = torch.zeros(channels, 256, dtype=torch.int64)  # of each value: how often it is there
    for part in torch.split(images, 1000):
        for channel, values in enumerate(part.unbind(1)):
            times[channel] += values.reshape(-1).bincount(minlength=256)
    value = torch.arange(256)
    total, squares = (times * value).sum(1), (times * value * value).sum(1)
    count = images.numel() // channels
    mean = [value / count for value in total.tolist()]
    variance = [s / count - m * m for s, m in zip(squares.tolist(), mean, strict=True)]
    return mean, [v**0.5 for v in variance]
