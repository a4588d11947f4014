"""`resparse freeze`: our own records, which later runs are held against."""

import argparse

from resparse.commands import options
from resparse.errors import UsageError

SUMMARY = "make the frozen records, from an empty store"
EXAMPLE = "resparse freeze itop/table2"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The table, and how many runs at once."""
    text = "a table (default: itop/table2), or compare/panel, the baselines of compare"
    parser.add_argument("artifact", nargs="?", default="itop/table2", help=text)
    parser.add_argument("--level", default="smoke", help="smoke (default) or mini")
    options.workers(parser)
    options.device(parser)


def execute(given: argparse.Namespace) -> int:
    """Refuse a table without frozen seeds, else freeze it."""
    from resparse.artifact import load
    from resparse.asked import Options
    from resparse.compare.panel import PANEL
    from resparse.frozen.freeze import freeze
    from resparse.how import How

    name, level = given.artifact, given.level
    if name != PANEL and load(name).level(level).frozen_seeds < 1:
        raise UsageError(f"{name}: levels.{level}.frozen_seeds = 0; valid: 1 or more")
    asked = Options(
        name=name,
        level=level,
        data_root=options.data_root(given),
        how=How(device=given.device),
        workers=given.workers,
    )
    return freeze(name, asked)
