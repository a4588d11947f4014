"""The locks below requirements/: what they pin here, and whether an environment is as they say."""

import re
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path

from resparse.errors import Corrupt
from resparse.files import sha256

FOLDER = "requirements"
STAMP = "resparse.stamp"  # in an environment, its first word: lock_hash of what it was made from
NAMES = ("default", "v100", "ffcv")
_ENTRY = re.compile(r"([a-z0-9-]+)==([^ ;]+)(?: ; (.+?))?(?: +--hash=sha256:[0-9a-f]{64})+")


def pins(text: str, where: str) -> dict[str, str]:
    r"""Name -> version of all that a lock installs on this machine.

    Raises Corrupt at the first entry that is not one package, one version and its hashes.

    >>> pins("numpy==2.4 ; sys_platform == 'linux' \\\n    --hash=sha256:" + "0" * 64, "a.lock")
    {'numpy': '2.4'}
    """
    from packaging.markers import Marker  # statsmodels needs packaging, so it is always here

    found = {}
    for entry in text.replace("\\\n", " ").splitlines():
        if not entry.strip() or entry.lstrip().startswith("#"):
            continue
        match = _ENTRY.fullmatch(entry.strip())
        if match is None:
            raise Corrupt(
                f"{where}: {entry.strip()[:60]!r} is not one package, one version and its hashes"
            )
        name, version, marker = match.groups()
        if marker is None or Marker(marker).evaluate():
            found[name] = version
    return found


def lock_hash(root: Path, name: str) -> str:
    """12 hex digits over the lock ``name`` and the build lock, as in noxfile.py."""
    return sha256(text(root, name) + text(root, "build"))[:12]


def text(root: Path, name: str) -> str:
    """Of the lock ``name``; raises Corrupt where it is not there."""
    file = root / FOLDER / f"{name}.lock"
    if not file.is_file():
        raise Corrupt(f"{FOLDER}/{name}.lock is not there")
    return file.read_text()


def made_from(root: Path, prefix: Path) -> str | None:
    """The lock that the environment ``prefix`` was made from, "" for none of today's, None: unsaid.

    Only nox and the image leave a stamp that says so. Raises Corrupt where a lock is missing.
    """
    stamp = prefix / STAMP
    if not stamp.is_file():
        return None
    hashes = {name: lock_hash(root, name) for name in NAMES}
    said = stamp.read_text().split()[:1]
    return next((name for name, of in hashes.items() if [of] == said), "")


def installed() -> dict[str, str]:
    """Name -> version of all packages of this Python."""
    from packaging.utils import canonicalize_name

    return {str(canonicalize_name(d.name)): d.version for d in distributions()}


def asked(root: Path, name: str, *, ffcv: bool) -> dict[str, str]:
    """What the lock ``name`` pins; with ``ffcv`` also FFCV and what it alone needs (the image)."""
    locks = {}
    for lock in (name, "default", "ffcv") if ffcv else (name,):
        locks[lock] = pins(text(root, lock), f"{FOLDER}/{lock}.lock")
    own = locks["ffcv"].keys() - locks["default"].keys() if ffcv else set()
    return locks[name] | {package: locks["ffcv"][package] for package in own}


def drift(wanted: Mapping[str, str], here: Mapping[str, str]) -> list[str]:
    """A line for each package that is missing or of another version; a local version is the same.

    >>> drift({"a": "1", "b": "2", "c": "3"}, {"a": "1+cu130", "b": "2.1"})
    ['b 2.1, locked 2', 'c not installed, locked 3']
    """
    lines = []
    for name, version in sorted(wanted.items()):
        has = here.get(name)
        if has is None or has.split("+")[0] != version.split("+")[0]:
            lines.append(f"{name} {has or 'not installed'}, locked {version}")
    return lines


def closest(root: Path, torch: str) -> str:
    """The lock of default and v100 that pins this torch, else default."""
    pin = f"\ntorch=={torch.split('+', maxsplit=1)[0]} "
    return "v100" if pin in text(root, "v100") else "default"
