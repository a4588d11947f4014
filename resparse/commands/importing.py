"""`resparse import`: records made elsewhere, verified and added."""

import argparse
import json
import sys

from resparse.commands import options
from resparse.errors import UsageError

SUMMARY = "verify and add records that were made elsewhere"
EXAMPLE = "resparse import /media/stick/runs"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Where they are, and where to."""
    options.json_option(parser)
    parser.add_argument("folder", type=options.folder, help="a run store, or a folder with one")
    options.runs(parser)
    parser.add_argument("--dry-run", action="store_true", help="verify and say, add nothing")


def execute(given: argparse.Namespace) -> int:
    """Print the counts and every refusal; 2 where anything was refused."""
    from resparse.artifact import ROOT
    from resparse.importing import find_store, import_runs
    from resparse.record import RunStore

    if not given.folder.is_dir():
        raise UsageError(f"{given.folder} is not a folder; valid: a run store, or one with it")
    root = given.runs or ROOT / "runs"
    source = find_store(given.folder)
    if source == root:
        raise UsageError(f"{source} is this run store itself; valid: another one")
    done = import_runs(RunStore(source), RunStore(root), dry_run=given.dry_run)
    if given.json:
        print(json.dumps({"source": str(source), "dry_run": given.dry_run} | vars(done), indent=1))
    else:
        verb = "would be added" if given.dry_run else "added"
        same = len(done.added) - len(done.stale) - len(done.unknown)
        codes = (
            f"{same} made by this very code, {len(done.stale)} STALE: by other code, "
            f"{len(done.unknown)} unknown: their workloads are from outside"
        )
        print(
            f"{source}: {len(done.added)} records {verb} ({codes}), "
            f"{len(done.already)} are here already, {len(done.refused)} refused, "
            f"{len(done.unfinished)} unfinished runs left out"
        )
        print(
            "held against the files of each run: its masks and weights; believed, not "
            "recomputed: accuracies, R_s and FLOPs"
        )
    for key, why in done.refused.items():
        print(f"resparse: run {key} refused: {why}", file=sys.stderr)
    return 2 if done.refused else 0
