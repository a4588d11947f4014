"""`resparse claims`: what a paper claims, and what the records and its own tables say of it."""

import argparse
import json

from resparse.commands import options

SUMMARY = "a paper's claims, each with its verdict"
EXAMPLE = "resparse claims --paper itop"


def arguments(parser: argparse.ArgumentParser) -> None:
    """--paper and --json."""
    options.json_option(parser)
    parser.add_argument("--paper", default="itop", help="folder of benchmarks/ (default: itop)")


def execute(given: argparse.Namespace) -> int:
    """Print the claims; a contradicted claim is a finding, no failure: the exit code is 0."""
    from resparse.claims.claim import load
    from resparse.claims.gathered import gathered
    from resparse.claims.listing import as_json, lines, standings
    from resparse.claims.printed import printed_evidence

    claims = load(given.paper)
    found = standings(claims, gathered(given.paper), printed_evidence(given.paper))
    if given.json:
        print(json.dumps([as_json(standing) for standing in found], indent=1))
    else:
        print("\n".join(lines(found)))
    return 0
