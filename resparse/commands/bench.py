"""`resparse bench`: how long things take on this machine."""

import argparse
import json

from resparse.commands import options

SUMMARY = "time the work on masks against training, and hold it to its limits"
EXAMPLE = "resparse bench masks --model mlp --method rigl"


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to time, on how many threads."""
    options.json_option(parser)
    parser.add_argument("what", choices=("masks",))
    text = "mlp or wrn22_2; repeatable (default: both)"
    parser.add_argument("--model", action="append", metavar="M", help=text)
    text = "repeatable (default: all in methods/)"
    parser.add_argument("--method", action="append", metavar="M", help=text)
    text = "threads of a run (default: 1, as records are made)"
    parser.add_argument("--threads", type=options.whole, default=1, metavar="N", help=text)
    text = "mask updates to time for each method (default: 10 on mlp, 2 on wrn22_2)"
    parser.add_argument("--updates", type=options.whole, metavar="N", help=text)


def execute(given: argparse.Namespace) -> int:
    """Print the rows as they come; exit code 1 where one is over its limit."""
    from resparse import bench, registry

    if not given.json:
        print(f"threads {given.threads}, batch {bench.BATCH}, density {bench.DENSITY} (erk), fp32")
        print(bench.HEADER, flush=True)
    rows = bench.masks_report(
        given.model or bench.STEPS,
        given.method or registry.names(),
        given.threads,
        given.updates,
        (lambda line: None) if given.json else (lambda line: print(line, flush=True)),
    )
    if given.json:
        print(json.dumps([row.as_json() for row in rows], indent=1))
    bench.require_within(rows)
    return 0
