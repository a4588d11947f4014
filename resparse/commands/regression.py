"""`resparse regression`: did a change move numbers, and did anything get worse?"""

import argparse
import json
import os

from resparse.commands import options
from resparse.errors import UsageError

SUMMARY = "retrain the panel's baselines and hold them against baselines/frozen"
EXAMPLE = "resparse regression --only RigL"
SEEDS = 3


def arguments(parser: argparse.ArgumentParser) -> None:
    """How much to retrain; or the golden numbers instead."""
    options.json_option(parser)
    options.workers(parser)
    text = f"seeds to retrain, the others being the reference (default: {SEEDS})"
    parser.add_argument("--seeds", type=options.whole, metavar="N", help=text)
    text = "one baseline, by label; repeatable"
    parser.add_argument("--only", action="append", default=[], metavar="LABEL", help=text)
    text = "compare losses and masks of the first 50 steps of every method instead"
    parser.add_argument("--golden", action="store_true", help=text)
    text = "with --golden: write them anew, from a clean commit"
    parser.add_argument("--write", action="store_true", help=text)


def execute(given: argparse.Namespace) -> int:
    """Check the options, then retrain, compare or write."""
    if given.golden and (given.seeds or given.only):
        raise UsageError("--golden covers every method; valid: without --seeds and --only")
    if given.write and (not given.golden or given.json):
        raise UsageError("--write is of --golden, and prints no JSON; valid: --golden --write")
    if given.golden:
        return _golden(given)
    from resparse.retrain import regression

    seeds = given.seeds or SEEDS
    return regression(seeds, given.only, given.workers, as_json=given.json)


def _golden(given: argparse.Namespace) -> int:
    from resparse import golden

    workers = given.workers or len(os.sched_getaffinity(0))
    if given.write:
        print(f"{golden.write(workers)} golden traces written to {golden.FILE}")
        return 0
    found, code = golden.compare(workers)
    if given.json:
        print(json.dumps({"exit_code": code, "golden": found}, indent=1))
        return code
    for name, methods in found.items():
        for method, text in methods.items():
            print(f"{name} {method}: {text}")
    if code:
        print(f"where the numbers are meant to move, write them anew: {golden.WRITE}")
    return code
