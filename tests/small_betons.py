"""Small class folders, and .beton files that need no FFCV to be written."""

import hashlib
import os

import numpy as np
from small_data import jpeg, write_files

from resparse.data import beton, beton_writer
from resparse.data.beton import Settings, Sidecar
from resparse.data.ffcv_kernel import require_ffcv
from resparse.data.ffcv_loader import Betons
from resparse.errors import Missing
from resparse.files import file_sha256

CAT, DOG = "n00000001", "n00000002"
RAW = Settings(mode="raw", max_resolution=None)
try:
    require_ffcv()
    LACK = ""  # why FFCV cannot be used here
except Missing as error:
    LACK = str(error)
    if os.environ.get("RESPARSE_LOADER") == "ffcv":
        raise  # who asks for FFCV's tests is not told that all of them were skipped


def image_files(count=8, size=(300, 280)):
    """Name -> JPEG of two classes, half of the images each; every image another."""
    return {
        f"{wnid}/{wnid}_{n}.JPEG": jpeg(2 * n + k, (size[0] + n, size[1]))
        for n in range(count // 2)
        for k, wnid in enumerate((CAT, DOG))
    }


def folder_of(path, **how):
    write_files(path, image_files(**how))
    return path


def raw_image(number, height=4, width=5):
    """Pixels that are their image's number, as the writer's processes return them."""
    data = np.full((height, width, 3), number, np.uint8).tobytes()
    name = f"{(CAT, DOG)[number % 2]}/{number}.JPEG"
    return beton_writer.Encoded(name, hashlib.sha256(data).hexdigest(), 1, height, width, data, "")


def raw_beton(path, count=4):
    """Write a whole .beton of raw images and its manifest."""
    images = (raw_image(n) for n in range(count))
    with path.open("w+b") as file:
        listed = beton_writer._write(file, path.parent, images, count, [CAT, DOG])
    made = Sidecar(
        settings=Settings(mode="raw"),
        samples=count,
        classes=[CAT, DOG],
        bytes=path.stat().st_size,
        sha256=file_sha256(path),
        dataset_sha256=listed,
        encoder="none",
    )
    beton.write_sidecar(path, made)
    return path


def write(folder, path, settings=RAW, **how):
    beton_writer.write(folder, path, settings, **({"workers": 1} | how))
    return path


def load(path, **how):
    return Betons("small", path, path, **({"workers": 2} | how))
