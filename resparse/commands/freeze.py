"""`resparse freeze`: our own records, which later runs are held against."""

import argparse

from resparse.commands import options
from resparse.errors import UsageError

SUMMARY = "make the frozen smoke records, from an empty store"
EXAMPLE = "resparse freeze itop/table2"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The table, and how many runs at once."""
    text = "a table (default: itop/table2), or compare/panel, the baselines of compare"
    parser.add_argument("artifact", nargs="?", default="itop/table2", help=text)
    options.workers(parser)


def execute(given: argparse.Namespace) -> int:
    """Refuse a table without frozen seeds, else freeze it."""
    from resparse.artifact import load
    from resparse.freeze import PANEL, freeze

    if given.artifact != PANEL and load(given.artifact).level("smoke").frozen_seeds < 1:
        raise UsageError(f"{given.artifact}: levels.smoke.frozen_seeds = 0; valid: 1 or more")
    return freeze(given.artifact, given.workers)
