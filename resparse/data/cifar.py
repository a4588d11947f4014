"""CIFAR-10 and CIFAR-100 from their published Python archives (Krizhevsky, 2009)."""

import io
import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from resparse.data import counts
from resparse.data.archive import Archive, read_tar
from resparse.data.cifar_jpeg import CLASSES
from resparse.data.download import fetch
from resparse.data.spec import Pixels, Source, Spec, Split
from resparse.errors import Corrupt
from resparse.files import file_sha256

SHAPE = (3, 32, 32)
SITE = "https://www.cs.toronto.edu/~kriz"


@dataclass(frozen=True)
class Layout:
    """An archive and what its members and their keys are called."""

    archive: Archive
    members: Mapping[str, tuple[str, ...]]  # by split
    labels: str
    meta: str
    label_names: str

    def open(self, root: Path) -> Source:
        """The images, 180 MB in memory; its checksum was right before anything is unpickled."""
        path = fetch(self.archive, root)
        members = read_tar(path)
        meta = _unpickled(path, members, self.meta, {self.label_names: list})
        names = [name.decode() for name in meta[self.label_names]]
        if twice := counts.duplicate_class(names):
            raise Corrupt(f"{path}: class {twice} is in {self.meta} twice; valid: every class once")
        splits = {split: self._split(path, members, split) for split in self.members}
        return Source({self.archive.file: file_sha256(path)}, names, splits)

    def _split(self, path: Path, members: dict[str, bytes], split: str) -> Split:
        where: list[str] = []
        labels: list[int] = []
        parts = []
        for member in self.members[split]:
            types = {"data": np.ndarray, self.labels: list, "filenames": list}
            data, numbers, files = _unpickled(path, members, member, types).values()
            if data.dtype != np.uint8 or data.shape != (len(numbers), 3072):
                raise Corrupt(
                    f"{path}: {member} has pixels {data.dtype} {data.shape} for "
                    f"{len(numbers):,} labels; valid: uint8, 3072 for each label"
                )
            if len(files) != len(numbers):
                raise Corrupt(
                    f"{path}: {member} has {len(files):,} filenames for {len(numbers):,} labels; "
                    "valid: one for each label"
                )
            parts.append(data.reshape(-1, *SHAPE))
            labels += numbers
            where += [f"{member}/{name.decode()}" for name in files]

        def pixels() -> Iterator[Pixels]:
            for part in parts:
                yield from part

        return Split(where, labels, pixels)


class _Arrays(pickle.Unpickler):
    """Builds lists, dicts and NumPy arrays, and calls nothing else that a pickle names."""

    CALLED = frozenset(
        {
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy._core.multiarray", "_reconstruct"),
            ("_codecs", "encode"),
        }
    )

    def find_class(self, module: str, name: str) -> Any:
        """Raises UnpicklingError for all but what arrays are made by."""
        if (module, name) not in self.CALLED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is no array's")
        return super().find_class(module, name)


def _unpickled(
    path: Path, members: dict[str, bytes], name: str, types: Mapping[str, type]
) -> dict[str, Any]:
    """A member's values by key; raises Corrupt where it lacks one of ``types``."""
    if name not in members:
        raise Corrupt(f"{path} has no member {name}; valid: the published archive; get it again")
    try:
        found = _Arrays(io.BytesIO(members[name]), encoding="bytes").load()
    except (pickle.UnpicklingError, EOFError, ValueError, LookupError, ImportError) as error:
        raise Corrupt(
            f"{path}: {name} is no pickle ({error}); valid: the published archive; get it again"
        ) from error
    values = found if isinstance(found, dict) else {}
    for key, kind in types.items():
        if not isinstance(values.get(key.encode()), kind):
            raise Corrupt(
                f"{path}: {name} has no {key} that is a {kind.__name__}; valid: the published "
                f"archive; get it again"
            )
    return {key: values[key.encode()] for key in types}


def _spec(name: str, classes: int, layout: Layout, names: Sequence[str] = ()) -> Spec:
    per_class = {"train": 50_000 // classes, "test": 10_000 // classes}
    remedy = f"get {layout.archive.file} from {layout.archive.url} again"
    here = Path(__file__)
    return Spec(name, classes, SHAPE, per_class, layout.open, here, remedy, names=tuple(names))


CIFAR10 = _spec(
    "cifar10",
    10,
    Layout(
        Archive(
            "cifar-10-python.tar.gz",
            170_498_071,
            "sha256:6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
            f"{SITE}/cifar-10-python.tar.gz",
        ),
        {"train": tuple(f"data_batch_{n}" for n in range(1, 6)), "test": ("test_batch",)},
        "labels",
        "batches.meta",
        "label_names",
    ),
    CLASSES,
)
CIFAR100 = _spec(
    "cifar100",
    100,
    Layout(
        Archive(
            "cifar-100-python.tar.gz",
            169_001_437,
            "sha256:85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
            f"{SITE}/cifar-100-python.tar.gz",
        ),
        {"train": ("train",), "test": ("test",)},
        "fine_labels",
        "meta",
        "fine_label_names",
    ),
)
