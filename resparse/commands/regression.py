"""`resparse regression`: did a change move numbers, and did anything get worse?"""

import argparse
import json
import os

from resparse.commands import options
from resparse.errors import UsageError

SUMMARY = "retrain the panel's baselines and hold them against baselines/frozen"
EXAMPLE = "resparse regression --only RigL"
SEEDS = 3
PANEL_ONLY = ("seeds", "only", "level", "markdown", "data-root")  # and --device


def arguments(parser: argparse.ArgumentParser) -> None:
    """How much to retrain; or the golden numbers instead."""
    options.json_option(parser)
    options.workers(parser)
    parser.add_argument("--level", help="of the panel: smoke (default) or mini")
    options.device(parser)
    text = "write the findings there as a table in Markdown, what got worse first"
    parser.add_argument("--markdown", type=options.file, metavar="FILE", help=text)
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
    panel_only = [f"--{n}" for n in PANEL_ONLY if getattr(given, n.replace("-", "_"))]
    panel_only += [] if given.device == "auto" else [f"--device {given.device}"]
    if given.golden and panel_only:
        raise UsageError(
            f"--golden covers every method on digits, on the CPU; valid: without "
            f"{', '.join(panel_only)}"
        )
    if given.write and (not given.golden or given.json):
        raise UsageError("--write is of --golden, and prints no JSON; valid: --golden --write")
    if given.golden:
        return _golden(given)
    from resparse.asked import Options
    from resparse.frozen.retrain import regression
    from resparse.how import How

    asked = Options(
        name="the panel",
        level="smoke" if given.level is None else given.level,
        only=tuple(given.only),
        data_root=options.data_root(given),
        how=How(device=given.device),
        workers=given.workers,
        json=given.json,
    )
    return regression(given.seeds or SEEDS, asked, given.markdown)


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
