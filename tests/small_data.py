"""Small datasets on disk in the layouts of the real ones, for tests to damage."""

import dataclasses
import hashlib
import io
import json
import pickle
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from resparse.data import cifar, cifar_jpeg, prepare, tiny_imagenet
from resparse.data.archive import Archive
from resparse.data.spec import Spec
from resparse.data.stored import SEAL
from resparse.files import canonical, sha256

CLASSES = ["cat", "dog", "emu"]
PER_CLASS = {"train": 4, "test": 2}


def pixels(number, shape=(3, 32, 32)):
    """A random image of its own for every number."""
    return np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)


def jpeg(number=0, size=(64, 64), mode="RGB", **options):
    """The bytes of a JPEG of random blocks, (width, height)."""
    small = Image.fromarray(pixels(number, (8, 8, 3))).convert(mode)
    file = io.BytesIO()
    small.resize(size).save(file, "JPEG", **options)
    return file.getvalue()


def archive_of(path, url="http://127.0.0.1:9/nowhere"):
    """What must be known of the file at ``path``; the url answers nothing."""
    data = path.read_bytes()
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    return Archive(path.name, len(data), digest, f"{url}/{path.name}")


def tar(path, members):
    """A tar.gz of name -> bytes, or of ready TarInfo objects with their bytes."""
    with tarfile.open(path, "w:gz") as out:
        for name, data in members.items():
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture
def good(tmp_path):
    """A published archive: its file, and what must be known of it."""
    (tmp_path / "root").mkdir()
    path = tar(tmp_path / "root" / "cifar-10-python.tar.gz", {"x/test_batch": b"images" * 500})
    return path, archive_of(path)


def cifar_members(per_class=PER_CLASS, classes=CLASSES, image=pixels):
    """Members of a small cifar-10-python.tar.gz: two training batches and one to test."""
    members, number = {"x/batches.meta": {b"label_names": [name.encode() for name in classes]}}, 0
    for split, names in (("train", ("data_batch_1", "data_batch_2")), ("test", ("test_batch",))):
        count = per_class[split] * 3
        labels = [n % 3 for n in range(count)]
        images = np.stack([image(number + n).reshape(-1) for n in range(count)])
        for part, rows in zip(names, np.array_split(np.arange(count), len(names)), strict=True):
            members[f"x/{part}"] = {
                b"data": images[rows],
                b"labels": [labels[row] for row in rows],
                b"filenames": [f"{number + row}.png".encode() for row in rows],
            }
        number += count
    return members


def pickled(members):
    return {name: pickle.dumps(value) for name, value in members.items()}


def cifar_spec(root, members=None):
    """A Spec of the small archive that is written to root."""
    path = tar(root / "cifar-10-python.tar.gz", pickled(members or cifar_members()))
    layout = cifar.Layout(
        archive_of(path),
        {"train": ("data_batch_1", "data_batch_2"), "test": ("test_batch",)},
        "labels",
        "batches.meta",
        "label_names",
    )
    remedy = "get it again"
    return Spec("cifar10", 3, (3, 32, 32), PER_CLASS, layout.open, cifar.CIFAR10.source, remedy)


@pytest.fixture
def root(tmp_path):
    """An empty data root."""
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def folder(tmp_path):
    """Where CIFAR-10 is to be prepared."""
    return tmp_path / "prepared" / "cifar10"


@pytest.fixture
def made(root, folder):
    """A prepared small CIFAR-10: its spec, its folder."""
    spec = cifar_spec(root)
    prepare.prepare(spec, root, folder)
    return spec, folder


def parquet_rows(per_class=PER_CLASS):
    """Rows of a small cifar10-jpeg: split -> list of image, label, path."""
    rows, number = {}, 0
    for split, count in per_class.items():
        rows[split] = []
        for n in range(count):
            for label, name in enumerate(cifar_jpeg.CLASSES):
                data = jpeg(number, (32, 32), quality=75)
                row = {"image": data, "label": label, "path": f"{split}/{name}/{n:04}.jpg"}
                rows[split].append(row)
                number += 1
    return rows


def parquet_spec(root, rows):
    """Write the rows as Parquet files; a Spec that takes the digest of ``rows`` for published."""
    (root / "cifar10-jpeg").mkdir(exist_ok=True)
    write_rows(root, rows)
    lines = sorted(
        f"{row['path']} {row['label']} {hashlib.sha256(row['image']).hexdigest()}\n"
        for part in rows.values()
        for row in part
    )
    opened = cifar_jpeg.Parquet(hashlib.sha256("".join(lines).encode()).hexdigest()).open
    real = cifar_jpeg.CIFAR10_JPEG75
    return dataclasses.replace(real, per_class=PER_CLASS, open=opened)


def write_rows(root, rows):
    import pyarrow
    from pyarrow import parquet

    for split, part in rows.items():
        parquet.write_table(pyarrow.Table.from_pylist(part), parquet_file(root, split))


def parquet_file(root, split):
    return root / "cifar10-jpeg" / f"{split}.parquet"


WNIDS = ["n00000003", "n00000001", "n00000002"]


def tiny_files(per_class=PER_CLASS):
    """Name -> bytes of a small tiny-imagenet-200 in its original layout."""
    files, number, annotations = {"wnids.txt": "\n".join(WNIDS).encode()}, 0, []
    for wnid in WNIDS:
        for n in range(per_class["train"]):
            files[f"train/{wnid}/images/{wnid}_{n}.JPEG"] = jpeg(number)
            number += 1
        for _ in range(per_class["test"]):
            files[f"val/images/val_{number}.JPEG"] = jpeg(number)
            annotations.append(f"val_{number}.JPEG\t{wnid}\t0\t0\t62\t62")
            number += 1
    files["val/val_annotations.txt"] = "\n".join(annotations).encode()
    files["test/images/test_0.JPEG"] = jpeg(999)
    return files


def tiny_spec(root, files, *, zipped=False):
    """Write the files as a folder or a zip; a Spec that knows the zip."""
    per_class = {"train": PER_CLASS["train"], "val": PER_CLASS["test"]}
    known = tiny_imagenet.ZIP
    if zipped:
        path = root / known.file
        with zipfile.ZipFile(path, "w") as out:
            for name, data in files.items():
                out.writestr(f"tiny-imagenet-200/{name}", data)
        known = archive_of(path)
    else:
        write_files(root / "tiny-imagenet-200", files)
    opened = tiny_imagenet.Layout(known).open
    real = tiny_imagenet.TINY_IMAGENET
    return dataclasses.replace(real, classes=3, per_class=per_class, open=opened)


def write_files(folder, files):
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)


def forged(path, **changes):
    """Change what a manifest says, and its seal to fit: as a writer with a fault in it would."""
    value = json.loads(path.read_text()) | changes
    value[SEAL] = sha256(canonical({key: part for key, part in value.items() if key != SEAL}))
    path.write_text(json.dumps(value))
