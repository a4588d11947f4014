"""A small ImageNet of class folders, for tests to damage, and the acts on it."""

from small_data import jpeg, write_files

from resparse.data import imagenet_folders
from resparse.data.imagenet_folders import Expected

CAT, DOG = "n00000001", "n00000002"
SMALL = Expected(2, {"train": (3, 4), "val": (2, 2)}, {"train": 7, "val": 4})
TRAIN = [*(f"{CAT}/{CAT}_{n}.JPEG" for n in range(4)), *(f"{DOG}/{DOG}_{n}.JPEG" for n in range(3))]
VAL = [f"{wnid}/ILSVRC2012_val_{n}.JPEG" for wnid in (CAT, DOG) for n in range(2)]


def files():
    """Seven images to train, one of them greyscale and one CMYK, and four to validate."""
    names = [f"train/{name}" for name in TRAIN] + [f"val/{name}" for name in VAL]
    modes = {0: "L", 1: "CMYK"}
    return {
        name: jpeg(number, (30 + number, 40), modes.get(number, "RGB"))
        for number, name in enumerate(names)
    }


ONE = f"train/{CAT}/{CAT}_2.JPEG"
GOOD = jpeg(70, (100, 80))


def verify(root, folder, **how):
    return imagenet_folders.verify(root, folder, workers=1, expected=SMALL, **how)


def prepare(root, folder, **how):
    return imagenet_folders.prepare(root, folder, workers=1, expected=SMALL, **how)


def put(name, data):
    return lambda root: write_files(root, {name: data})
