"""`resparse data`: prepare a dataset once, or check one that is there."""

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resparse.commands import options
from resparse.errors import UsageError

if TYPE_CHECKING:
    from resparse.data.beton import Settings

SUMMARY = "prepare a dataset from its published files, or verify one"
EXAMPLE = "resparse data prepare cifar10 --data-root ~/data"
WRITE = {"mode": "write_mode", "max_resolution": "max_resolution", "quality": "quality"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to do with which dataset, where it is, and where prepared files go."""
    parser.add_argument("action", choices=("prepare", "verify"))
    text = "cifar10, cifar100, cifar10_jpeg75, tiny_imagenet or imagenet"
    parser.add_argument("name", metavar="NAME", help=text)
    options.json_option(parser)
    text = "folder of the datasets (default: RESPARSE_DATA)"
    parser.add_argument("--data-root", type=options.folder, metavar="DIR", help=text)
    text = "prepared files go to DIR/NAME (default: RESPARSE_PREPARED, else prepared/ in the root)"
    parser.add_argument("--prepared", type=options.folder, metavar="DIR", help=text)
    text = "images that are there twice are named in the manifest instead of refused"
    parser.add_argument("--accept-duplicates", action="store_true", help=text)
    text = "ImageNet for RESPARSE_LOADER=ffcv: images as JPEGs (default), pixels, or half of each"
    parser.add_argument("--write-mode", choices=("jpg", "raw", "proportion"), help=text)
    text = "the same: pixels of the longer side at most (default: 500)"
    parser.add_argument("--max-resolution", type=options.whole, metavar="N", help=text)
    text = "the same: of the JPEGs, 1 to 100 (default: 90)"
    parser.add_argument("--quality", type=options.whole, metavar="N", help=text)
    text = "processes that decode ImageNet (default: one per core)"
    parser.add_argument("--workers", type=options.whole, metavar="N", help=text)


def execute(given: argparse.Namespace) -> int:
    """Print what the dataset holds; raises what is wrong with it."""
    from resparse import data
    from resparse.data import places

    valid = (*data.PREPARED, "imagenet")
    if given.name not in valid:
        raise UsageError(f"data {given.action} {given.name!r}; valid: {', '.join(valid)}")
    _require_used(given)
    root = options.data_root(given)
    folder = places.prepared_folder(given.name, root, given.prepared)
    _settings(given)
    began = time.monotonic()
    act = _imagenet if given.name == "imagenet" else _tensors
    report = act(given, root, folder)
    report["seconds"] = round(time.monotonic() - began, 2)
    print(json.dumps(report, indent=1) if given.json else _text(report))
    return 0


def _require_used(given: argparse.Namespace) -> None:
    """Raise UsageError for an option that would change nothing."""
    from resparse.data import prepare

    if given.name == "imagenet":
        return
    spec = prepare.specs()[given.name]
    if given.workers:
        raise UsageError(f"--workers in data {given.action} {given.name}; valid: for imagenet only")
    if given.accept_duplicates and (spec.published_only or given.action == "verify"):
        own = [name for name, spec in prepare.specs().items() if not spec.published_only]
        raise UsageError(
            f"--accept-duplicates in data {given.action} {given.name}; valid: for imagenet, and to "
            f"prepare {', '.join(own)}"
        )


def _tensors(given: argparse.Namespace, root: Path | None, folder: Path) -> dict[str, Any]:
    from resparse.data import prepare

    spec, why = prepare.specs()[given.name], ""
    if given.action == "verify":
        made = prepare.verify(spec, folder)
    else:
        accept = given.accept_duplicates
        made, why = prepare.prepare(spec, root, folder, accept_duplicates=accept)
    done = {"verify": "intact", "prepare": "prepared" if why else "already prepared and intact"}
    return {
        "did": done[given.action],
        "because": why,
        "folder": str(folder),
        **made.model_dump(by_alias=True),
    }


def _imagenet(given: argparse.Namespace, root: Path | None, folder: Path) -> dict[str, Any]:
    from resparse.data import imagenet_folders, places

    root = places.require_root("imagenet", root)
    act = getattr(imagenet_folders, given.action)
    choice = {"workers": given.workers, "accept_duplicates": given.accept_duplicates}
    if given.action == "prepare":
        choice["settings"] = _settings(given)
    report: dict[str, Any] = act(root / "imagenet", folder, **choice)
    return report


def _settings(given: argparse.Namespace) -> "Settings":
    """How ImageNet is written; raises UsageError where it is not written and something was said."""
    from resparse.data.beton import Settings
    from resparse.data.imagenet import loader
    from resparse.reading import read

    said = {key: value for key, name in WRITE.items() if (value := getattr(given, name))}
    if said and (given.action, given.name, loader()) != ("prepare", "imagenet", "ffcv"):
        option = WRITE[next(iter(said))].replace("_", "-")
        raise UsageError(
            f"--{option} in data {given.action} {given.name} for the loader {loader()}; valid: "
            "only in RESPARSE_LOADER=ffcv resparse data prepare imagenet"
        )
    return read(Settings, said, "data prepare imagenet")


def _text(report: dict[str, Any]) -> str:
    """What was done, then each split and file on a line."""
    lines = [f"{report['name']}: {report['did']} in {report['seconds']:.2f} s: {report['folder']}"]
    if report.get("because"):
        lines.append(f"made because {report['because']}")
    for split, images in report["images_per_class"].items():
        low, high = min(images), max(images)
        each = f"{low:,}" if low == high else f"{low:,} to {high:,}"
        lines.append(f"{split}: {sum(images):,} images, {each} in each of {len(images)} classes")
    for file, said in report["files"].items():
        lines.append(f"{file}: {said['bytes']:,} bytes, sha256 {said['sha256']}")
    for source, digest in report["sources"].items():
        lines.append(f"made from {source}: sha256 {digest}")
    if report["unchecked"]:
        lines.append(f"not checked: {report['unchecked']}")
    if "modes" in report:
        modes = ", ".join(f"{count:,} {mode}" for mode, count in sorted(report["modes"].items()))
        lines.append(f"decoded {report['images_per_s']:,.0f} images a second: {modes}")
    twice = report["duplicates"]
    lines.append(f"the same image twice: {len(twice):,}")
    lines += [f"  {first} = {second}" for first, second in twice[:10]]
    return "\n".join(lines)
