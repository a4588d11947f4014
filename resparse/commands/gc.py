"""`resparse gc`: what of a run store could be freed."""

import argparse
import json
from typing import TYPE_CHECKING

from resparse.commands import options
from resparse.errors import UsageError

if TYPE_CHECKING:
    from resparse.garbage import Garbage

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
    text += "so does an interrupted regression of today's code"
    parser.add_argument("--days", type=options.whole, default=30, metavar="N", help=text)


def execute(given: argparse.Namespace) -> int:
    """List it by kind; with --delete free all but what is unfinished."""
    from resparse import garbage
    from resparse.artifact import ROOT
    from resparse.record import RunStore
    from resparse.runner import git

    if given.unfinished and not given.delete:
        raise UsageError("--unfinished without --delete: it is listed anyway; valid: with --delete")
    root = given.runs or ROOT / "runs"
    if not root.is_dir():
        raise UsageError(f"run store {root}: there is none; valid: a folder with runs")
    store = RunStore(root)
    found = garbage.find(store, commit=git("rev-parse", "HEAD"), days=given.days)
    chosen = [g for g in found if given.unfinished or g.kind != garbage.KEPT]
    if not given.json:
        print(text(found, chosen))
    deleted = []
    for item in chosen if given.delete else ():
        garbage.free(item, store)
        deleted.append(str(item.path))
        if not given.json:
            print(f"deleted {item.path}")
    if given.json:
        listed = [g._asdict() | {"path": str(g.path)} for g in found]
        total = sum(g.size_bytes for g in chosen)
        print(json.dumps({"found": listed, "free_bytes": total, "deleted": deleted}, indent=1))
    return 0


def text(found: "list[Garbage]", chosen: "list[Garbage]") -> str:
    """Paths by kind with their bytes and age, and the total that would be freed."""
    from resparse.garbage import KEPT, KINDS

    lines = []
    for kind, what in KINDS.items():
        items = [g for g in found if g.kind == kind]
        if items:
            kept = ", kept" if kind == KEPT and items[0] not in chosen else ""
            size = sum(g.size_bytes for g in items)
            lines.append(f"{kind}: {size:,} bytes{kept} ({what})")
            lines += [f"  {g.size_bytes:>13,}  {g.age_days:>4} days  {g.path}" for g in items]
    total = sum(g.size_bytes for g in chosen)
    return "\n".join([*lines, f"{total:,} bytes in {len(chosen)} places can be freed (--delete)"])
