"""`resparse explain`: what one run of the store is, and what it found."""

import argparse
import json
import re

from resparse.commands import options
from resparse.errors import RunFailed, UsageError

SUMMARY = "what a run of the store is and found"
EXAMPLE = "resparse explain 0123456789abcdef"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The run's key, and where it lies."""
    options.json_option(parser)
    parser.add_argument("key", help="16 hex digits, the name of its folder")
    options.runs(parser)


def execute(given: argparse.Namespace) -> int:
    """Print the record; one that failed says why."""
    from resparse.artifact import ROOT
    from resparse.record import RunStore

    root = given.runs or ROOT / "runs"
    folder = RunStore(root).at(given.key)
    if not re.fullmatch("[0-9a-f]{16}", given.key) or not folder.path.is_dir():
        raise UsageError(f"no run {given.key!r} in {root}; valid: a key, 16 hex digits, as there")
    if not folder.committed:
        why = folder.path / "failure.json"
        if why.is_file():
            failure = json.loads(why.read_text())
            raise RunFailed(f"run {given.key} failed: {failure['reason']}\n{failure['trace']}")
        raise RunFailed(
            f"run {given.key} in {root} is not finished: repeat the command that trains it"
        )
    print(json.dumps(vars(folder.record()), indent=1, sort_keys=True))
    return 0
