"""`resparse status`: where the runs of a table or of a store stand."""

import argparse
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from resparse.commands import options
from resparse.errors import UsageError

if TYPE_CHECKING:
    from resparse.record import RunStore
    from resparse.status.grid import Seen

SUMMARY = "where runs stand: done, running with steps per second and time left, failed and why"
EXAMPLE = "resparse status itop/table2 --level smoke"
CHECKOUT = Path(__file__).resolve().parents[2]  # artifact.ROOT, without loading torch


def arguments(parser: argparse.ArgumentParser) -> None:
    """A table, or none for the whole store, and where the runs lie."""
    options.json_option(parser)
    text = "like itop/table2: its grid of rows x seeds (default: what is not finished in the store)"
    parser.add_argument("table", nargs="?", help=text)
    parser.add_argument("--level", help="of the table: smoke (default), mini or paper")
    text = "of the table, like 0,1,2; repeatable (default: the level's)"
    partial(parser.add_argument, action="append", default=[])("--seeds", help=text)
    options.runs(parser)


def execute(given: argparse.Namespace) -> int:
    """Print it; reads files, and neither waits for a training nor lets one wait."""
    from resparse.record import RunStore
    from resparse.status import grid
    from resparse.status.standing import STATES

    for option in ("level", "seeds"):
        if getattr(given, option) and not given.table:
            raise UsageError(f"--{option} without a table; valid: resparse status TABLE --{option}")
    root = given.runs or CHECKOUT / "runs"
    if given.runs and not root.is_dir():
        raise UsageError(f"run store {root}: there is none; valid: a folder with runs")
    seen = _of_table(given, RunStore(root)) if given.table else _of_store(RunStore(root))
    states = {s.key: s.standing.state for s in seen}
    if given.json:
        listed = [s.as_json() for s in seen]
        counts = {state: list(states.values()).count(state) for state in STATES}
        print(json.dumps({"store": str(root), "counts": counts, "runs": listed}, indent=1))
        return 0
    level = f"{given.table} at level {given.level or 'smoke'}, " if given.table else ""
    lines = [f"{level}{root}: {grid.counted(states.values())}"]
    lines += grid.grid(seen) if given.table else []
    found = grid.details(seen)
    print("\n".join([*lines, *[""] * bool(found), *found]))
    return 0


def _of_store(store: "RunStore") -> "list[Seen]":
    """Every run that has a folder; whether today's code made it would take loading torch."""
    from resparse.status.grid import Seen, name_of
    from resparse.status.standing import standing

    found = ((folder.path.name, standing(folder)) for folder in store.folders())
    return [Seen(key, name_of(stands), stands) for key, stands in found]


def _of_table(given: argparse.Namespace, store: "RunStore") -> "list[Seen]":
    """The table's runs and their parents, as far as the store has them."""
    from resparse.status import standings

    wanted = options.numbers(given.seeds, int, "--seeds")
    return standings.seen(given.table, given.level or "smoke", wanted, store)
