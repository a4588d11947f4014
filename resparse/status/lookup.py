"""A run's key, or the start of it, to where its numbers lie: a run store, or what is frozen."""

import re
from pathlib import Path
from typing import Any, NamedTuple

from resparse.artifact import ROOT
from resparse.data.places import data_folder
from resparse.errors import Corrupt, Missing, ResparseError, UsageError
from resparse.frozen.freeze import planned
from resparse.frozen.lines import frozen_lines
from resparse.record import Run, RunStore

PREFIX = "[0-9a-f]{6,16}"  # of a key; fewer digits are too easily those of two


class Frozen(NamedTuple):
    """A line of baselines/frozen and the file that it is in, NAME-LEVEL.jsonl."""

    name: str  # like compare/panel
    level: str
    path: Path
    line: dict[str, Any]


def frozen() -> dict[str, Frozen]:
    """Every frozen line by its run's key."""
    folder = ROOT / "baselines" / "frozen"
    found: dict[str, Frozen] = {}
    for path in sorted(folder.rglob("*.jsonl")):
        name, _, level = str(path.relative_to(folder))[: -len(".jsonl")].rpartition("-")
        found |= {
            line["key"]: Frozen(name, level, path, line) for line in frozen_lines(name, level)
        }
    return found


def whole_key(given: str, store: RunStore, stored: dict[str, Frozen]) -> str:
    """The one key of store and baselines that begins so; raises UsageError listing several.

    ``given`` may be as the CSV of a table has it, the seed and a colon before the key.
    """
    given = re.sub(r"\A\d+:", "", given)
    keys = {folder.path.name for folder in store.folders() if folder.path.is_dir()} | set(stored)
    begun = sorted(key for key in keys if key.startswith(given))
    if not re.fullmatch(PREFIX, given) or not begun:
        raise UsageError(
            f"no run {given!r} in {store.root} or {ROOT / 'baselines' / 'frozen'}; valid: a key, "
            "16 hex digits, as there, or its first 6 or more"
        )
    if len(begun) > 1:
        raise UsageError(f"run {given!r}: {', '.join(begun)} begin so; valid: more digits")
    return begun[0]


def run_of(found: Frozen) -> Run | str:
    """What a frozen line was trained by, which it does not say; else why that is not known.

    The plan is that of today's files: another recipe or field value makes other keys, and without
    the images it cannot be made.
    """
    try:
        root = data_folder(None)
    except ResparseError as error:
        return f"today's plan cannot be made here: {error}"
    try:
        runs = (run for _, run in planned(found.name, found.level, root))
        made = next((run for run in runs if run.key == found.line["key"]), None)
    except (Missing, Corrupt) as error:
        return f"today's plan cannot be made here: {error}"
    except ResparseError:  # no such table or level any more
        made = None
    return made or "today's plan makes no run of this key"
