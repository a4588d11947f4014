"""`resparse costs`: what every table and figure of a paper holds, costs, and how much is there."""

import argparse
import json

from resparse.commands import options

SUMMARY = "what a paper's tables and figures hold and would cost, and how much of them is there"
EXAMPLE = "resparse costs --speed 60"


def arguments(parser: argparse.ArgumentParser) -> None:
    """--paper, --speed, --out and --json."""
    options.json_option(parser)
    parser.add_argument("--paper", default="itop", help="folder of benchmarks/ (default: itop)")
    text = "TFLOP/s that a GPU sustains, for the hours (default: 60, which no GPU was timed at)"
    parser.add_argument("--speed", type=options.speed, metavar="TFLOPS", help=text)
    options.out(parser)


def execute(given: argparse.Namespace) -> int:
    """Print a table in Markdown, a row an artifact; hours and disk are the paper level's."""
    from resparse import costs
    from resparse.artifact import ROOT
    from resparse.page import Grid, as_markdown

    speed = given.speed or costs.SPEED
    found = costs.costs(given.paper, given.out or ROOT / "reports")
    if given.json:
        print(json.dumps([costs.as_json(cost, speed) for cost in found], indent=1))
    else:
        grid = Grid(costs.HEAD, costs.rows(found, speed), len(costs.HEAD))
        print(as_markdown([grid]), end="")
    return 0
