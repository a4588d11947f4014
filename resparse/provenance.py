"""What every record says of where it was made: command, commit, versions, lock; and no secret."""

import platform
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from resparse import locks
from resparse.artifact import ROOT
from resparse.errors import Corrupt
from resparse.files import file_sha256

IMAGE = Path("/usr/share/resparse/image.toml")  # written by containers/Dockerfile
HIDDEN = "[redacted]"
# what hands environment variables or free text on, and what says by its name what it is
_TOLD = re.compile(
    r"(?i)(-*(?:export|comment|[\w.-]*(?:token|secret|passw|credential|api[-_]?key)[\w.-]*))=.*",
    re.DOTALL,
)
_ASKED = re.compile(r"(?i)--[\w-]*(?:token|secret|passw|credential|api[-_]?key)[\w-]*")
_USER = re.compile(r"://[^/\s@]+@")


def provenance() -> dict[str, Any]:
    """The environment that every record of this command carries."""
    import torch

    return {
        "command": redacted(["resparse", *sys.argv[1:]]),
        "git_sha": git("rev-parse", "HEAD") or of_image().get("revision", "unknown"),
        "git_dirty": bool(uncommitted()),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda or "none",
        "lock_sha256": of_lock(),
    }


def of_lock() -> str:
    """sha256 of the lock that this Python's environment was made from; "none" where it is of none.

    ``resparse doctor`` says what is wrong then.
    """
    try:
        name = locks.made_from(ROOT, Path(sys.prefix))
    except Corrupt:
        return "none"
    return file_sha256(ROOT / locks.FOLDER / f"{name}.lock") if name else "none"


def redacted(words: Sequence[str]) -> str:
    """A command as a shell takes it, without what may be secret in it.

    Hidden are values whose names say so (token, secret, password, credential, API key), the
    environment (export) and comment of Slurm's jobs, and the user in an address.

    >>> redacted(["resparse", "run", "--sbatch", "export=TOKEN=a1,B=2", "a file"])
    "resparse run --sbatch 'export=[redacted]' 'a file'"
    """
    kept, hides = [], False
    for word in words:
        said = HIDDEN if hides else _USER.sub(f"://{HIDDEN}@", _TOLD.sub(rf"\1={HIDDEN}", word))
        hides = _ASKED.fullmatch(word) is not None
        kept.append(said)
    return shlex.join(kept)


def of_image() -> dict[str, str]:
    """What the image says of itself, by name; nothing outside one."""
    if not IMAGE.is_file():
        return {}
    return {name: str(value) for name, value in tomllib.loads(IMAGE.read_text()).items()}


def uncommitted() -> list[str]:
    """What differs from the commit checked out, a line a path as git says it.

    Nothing in reports/ counts: the suite's own tables lie there, and they decide no number.
    """
    asked = ("--porcelain", "--untracked-files=normal", "--", ".", ":(exclude)reports")
    return git("status", *asked).splitlines()


def git(*arguments: str) -> str:
    """Output of a git command in this checkout, empty where there is none."""
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
