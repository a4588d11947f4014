"""`resparse gc`: what of a run store could be freed."""

import argparse
import json
from typing import TYPE_CHECKING

from resparse.commands import options
from resparse.errors import UsageError

if TYPE_CHECKING:
    from resparse.garbage import Garbage, Going

SUMMARY = "say what of the run store could be freed; delete it only with --delete"
EXAMPLE = "resparse gc --runs runs --delete"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The store, and whether to delete."""
    options.json_option(parser)
    options.runs(parser)
    parser.add_argument("--delete", action="store_true", help="delete it, printing each path")
    text = "with --delete: also unfinished runs, whose training is lost"
    parser.add_argument("--unfinished", action="store_true", help=text)
    text = "unfinished runs and temporary files count once untouched for N days (default: 30), and "
    text += "so does an interrupted regression of today's code; 0: all that no process is at"
    parser.add_argument("--days", type=options.from_zero, default=30, metavar="N", help=text)


def execute(given: argparse.Namespace) -> int:
    """List it by kind; with --delete free all but what is unfinished."""
    from resparse import garbage
    from resparse.artifact import ROOT
    from resparse.provenance import git
    from resparse.record import RunStore

    if given.unfinished and not given.delete:
        raise UsageError("--unfinished without --delete: it is listed anyway; valid: with --delete")
    root = given.runs or ROOT / "runs"
    if not root.is_dir():
        raise UsageError(f"run store {root}: there is none; valid: a folder with runs")
    store = RunStore(root)
    found = garbage.find(store, commit=git("rev-parse", "HEAD"), days=given.days)
    going = garbage.going(store, days=given.days)
    chosen = [g for g in found if given.unfinished or g.kind != garbage.KEPT]
    if not given.json:
        print("\n".join([*text(found, chosen), *kept(going, given.days), total(chosen)]))
    deleted = []
    for item in chosen if given.delete else ():
        garbage.free(item, store)
        deleted.append(str(item.path))
        if not given.json:
            print(f"deleted {item.path}")
    if given.json:
        listed = [g._asdict() | {"path": str(g.path)} for g in found]
        said = {"found": listed, "free_bytes": sum(g.size_bytes for g in chosen)}
        said |= {why: [str(g.path) for g in runs] for why, runs in going._asdict().items()}
        print(json.dumps(said | {"deleted": deleted}, indent=1))
    return 0


def text(found: "list[Garbage]", chosen: "list[Garbage]") -> list[str]:
    """Paths by kind with their bytes and age."""
    from resparse.garbage import KEPT, KINDS

    lines = []
    for kind, what in KINDS.items():
        items = [g for g in found if g.kind == kind]
        if items:
            kept = ", kept" if kind == KEPT and items[0] not in chosen else ""
            lines.append(f"{kind}: {_bytes(items):,} bytes{kept} ({what})")
            lines += [f"  {g.size_bytes:>13,}  {g.age_days:>4} days  {g.path}" for g in items]
    return lines


def kept(going: "Going", days: int) -> list[str]:
    """How many unfinished runs are no garbage yet, and why."""
    lines = []
    if going.young:
        of = f"{len(going.young)}, {_bytes(going.young):,} bytes"
        why = f"younger than {days} days (--days N), a repeated command continues them"
        lines.append(f"unfinished runs kept: {of} ({why})")
    if going.held:
        of = f"{len(going.held)}, {_bytes(going.held):,} bytes"
        lines.append(f"unfinished runs in training: {of} (a live process holds them)")
    return lines


def total(chosen: "list[Garbage]") -> str:
    """What would be freed."""
    return f"{_bytes(chosen):,} bytes in {len(chosen)} places can be freed (--delete)"


def _bytes(items: "list[Garbage]") -> int:
    return sum(item.size_bytes for item in items)
