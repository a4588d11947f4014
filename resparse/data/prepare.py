"""Datasets of one tensor a split: made from their source once, checked, loaded."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from resparse.data import counts, duplicates, intact, manifest, places, protocol, tensors
from resparse.data.manifest import Manifest
from resparse.data.memory import InMemory
from resparse.data.spec import Source, Spec
from resparse.errors import Corrupt, ResparseError

TEST = {"test": "test", "val": "test", "train": "train"}  # Tiny-ImageNet's test labels are secret
PAD = 4  # pixels around a training image before the random crop
SHOWN = 20  # sentences about one dataset


def specs() -> dict[str, Spec]:
    """By name."""
    from resparse.data.cifar import CIFAR10, CIFAR100
    from resparse.data.cifar_jpeg import CIFAR10_JPEG75
    from resparse.data.tiny_imagenet import TINY_IMAGENET

    return {spec.name: spec for spec in (CIFAR10, CIFAR100, CIFAR10_JPEG75, TINY_IMAGENET)}


def prepare(
    spec: Spec, root: Path | None, folder: Path, *, accept_duplicates: bool = False
) -> tuple[Manifest, str]:
    """The manifest, and why it was made: "" for an intact dataset, which is left as it is.

    Else all is made in a folder of its own that takes ``folder``'s place when it is complete.
    """
    try:
        return verify(spec, folder), ""
    except ResparseError as error:
        why, root = str(error), places.require_root(spec.name, root)
    with places.replacing(folder, spec.size_bytes) as aside:
        with places.reading(root):
            source = spec.open(root)
        raise_all(_count_problems(spec, source))
        made = _write(spec, source, aside)
        if source.published:
            raise_all(_unpublished(spec, source.published, made, accept_duplicates))
        manifest.write(aside, made)
    return made, why


def raise_all(sentences: Sequence[str]) -> None:
    """Raise Corrupt with the first sentences, one a line, if there are any."""
    if sentences:
        more = len(sentences) - SHOWN
        lines = [*sentences[:SHOWN], *([f"and {more:,} more"] if more > 0 else [])]
        raise Corrupt("\n".join(lines))


def _count_problems(spec: Spec, source: Source) -> list[str]:
    known, found = dict(enumerate(source.classes)), {}
    for split, part in source.splits.items():
        images = Counter(known.get(label, f"number {label}") for label in part.labels)
        found[split] = dict.fromkeys(source.classes, 0) | images
    expected = {split: (count, count) for split, count in spec.per_class.items()}
    return counts.problems(spec.name, found, expected, spec.classes, spec.remedy)


def _unpublished(spec: Spec, sentence: str, made: Manifest, accept_duplicates: bool) -> list[str]:
    """What is wrong where no checksum says that the data are the published: they may have been
    filled up with copies, or be others altogether.
    """
    if accept_duplicates and not spec.published_only:
        return []
    pairs = [(first, second) for first, second in made.duplicates]
    acceptable = not spec.published_only
    said = duplicates.sentences(spec.name, pairs, spec.remedy, acceptable=acceptable)
    return said or ([sentence] if spec.published_only else [])


def _write(spec: Spec, source: Source, folder: Path) -> Manifest:
    files: dict[str, manifest.Written] = {}
    digests, where = bytearray(), []
    for split, part in source.splits.items():
        path = folder / f"{split}.safetensors"
        sha256, of_images = tensors.write(path, part, spec.image_shape)
        files[path.name] = manifest.Written(bytes=path.stat().st_size, sha256=sha256)
        digests += of_images
        where += [f"{split}: {name}" for name in part.where]
    mean, std = tensors.statistics(tensors.read(folder / "train.safetensors")[0])
    return Manifest(
        name=spec.name,
        sources=dict(source.files),
        files=files,
        classes=list(source.classes),
        images_per_class={
            split: [Counter(part.labels)[label] for label in range(spec.classes)]
            for split, part in source.splits.items()
        },
        image_shape=list(spec.image_shape),
        mean=mean,
        std=std,
        statistics="all pixels of train by exact integer sums, population standard deviation",
        decoder=source.decoder,
        duplicates=[[where[i], where[j]] for i, j in duplicates.pairs(digests)],
        unchecked=source.published or "",
    )


def verify(spec: Spec, folder: Path) -> Manifest:
    """The manifest of an intact prepared dataset; raises Missing or Corrupt at the first fault.

    What ``load`` checks, and that the duplicates are those that the manifest names.
    """
    said, splits = _intact(spec, folder)
    intact.require_duplicates(spec, folder, said, splits)
    return said


def _intact(spec: Spec, folder: Path) -> tuple[Manifest, intact.Splits]:
    said = manifest.read(folder, spec.name)
    with places.reading(folder):
        manifest.check_files(folder, said, intact.files(spec))
        intact.require_manifest(spec, folder, said)
        splits = {split: tensors.read(folder / f"{split}.safetensors") for split in spec.per_class}
    intact.require_tensors(spec, folder, said, splits)
    return said, splits


def load(spec: Spec, root: Path | None, name: str | None = None) -> InMemory:
    """The prepared dataset in memory; raises Missing where it is not there, Corrupt at a fault.

    Checked each time: the manifest's own hash, the files' hashes, counts, shapes, class names, and
    mean and spread of the pixels, which are of all training images. ``name`` says what a protocol
    asks.
    """
    folder = places.prepared_folder(spec.name, root)
    said, splits = _intact(spec, folder)
    name = name or spec.name
    return InMemory(
        name=name,
        classes=spec.classes,
        splits=protocol.split(name, {TEST[split]: both for split, both in splits.items()}),
        mean=said.mean,
        std=said.std,
        pad=PAD,
        padding=protocol.asked(name).pad,
        flip=True,
    )
