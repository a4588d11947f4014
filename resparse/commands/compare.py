"""`resparse compare`: a method of one's own beside the baselines of the panel."""

import argparse

from resparse.commands import options

SUMMARY = "hold a method against the panel's baselines"
EXAMPLE = "resparse compare path/to/my_method.py"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The method, what it is trained with, and where things lie."""
    options.json_option(parser)
    text = "a Python file, a method's name, or an installed package's entry point"
    parser.add_argument("method", help=text)
    parser.add_argument("--level", default="smoke", help="smoke (default), mini, conv or paper")
    text = "a field of the method, like alpha=0.5; repeatable"
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help=text)
    text = "how its density is spread (default: the panel's, erk)"
    parser.add_argument("--distribution", help=text)
    text = "a workload's file or name in place of the level's; repeatable"
    parser.add_argument("--workload", action="append", default=[], metavar="FILE", help=text)
    text = "some of the panel's, like 0,1,2; repeatable (default: all)"
    parser.add_argument("--seeds", action="append", default=[], help=text)
    text = "check the contract, say what would be trained, why, and what it costs, and stop"
    parser.add_argument("--plan", action="store_true", help=text)
    options.out(parser)
    options.device(parser)
    options.computing(parser)
    options.runs(parser)
    options.workers(parser)


def execute(given: argparse.Namespace) -> int:
    """Check the contract, train, compare, write the page."""
    from resparse.artifact import ROOT
    from resparse.asked import Request
    from resparse.compare.command import compare_method
    from resparse.errors import UsageError

    for name in ("json", "out") if given.plan else ():
        if getattr(given, name):
            raise UsageError(f"--{name}: --plan does not use it; valid: without --{name}")

    return compare_method(
        Request(
            reference=given.method,
            level=given.level,
            settings=tuple(given.set),
            distribution=given.distribution,
            workloads=tuple(given.workload),
            seeds=options.numbers(given.seeds, int, "--seeds"),
            plan_only=given.plan,
            data_root=options.data_root(given),
            runs=given.runs or ROOT / "runs",
            out=given.out or ROOT / "reports",
            how=options.how(given),
            workers=given.workers,
            json=given.json,
        )
    )
