"""`resparse protocols`: how a paper trains, and which of it the paper says."""

import argparse
import json

from resparse.commands import options

SUMMARY = (
    "a paper's protocols, each value stated, inferred or unknown, held against what is trained"
)
EXAMPLE = "resparse protocols table2"


def arguments(parser: argparse.ArgumentParser) -> None:
    """NAME, --paper and --json."""
    options.json_option(parser)
    text = "a protocol, table, panel or figure, like table2 (default: all)"
    parser.add_argument("name", nargs="?", metavar="NAME", help=text)
    parser.add_argument("--paper", default="itop", help="folder of benchmarks/ (default: itop)")


def execute(given: argparse.Namespace) -> int:
    """Print them; one that says other than what is trained is refused, whichever was asked for."""
    from resparse.protocols.check import checked
    from resparse.protocols.listing import as_json, named, to_terminal

    found = named(checked(given.paper), given.paper, given.name)
    if given.json:
        print(json.dumps([as_json(protocol) for protocol in found], indent=1))
    else:
        to_terminal(found)
    return 0
