"""`resparse report`: the page of a paper, from committed records."""

import argparse
import json

from resparse.commands import options

SUMMARY = "the page of a paper, from committed records"
EXAMPLE = "resparse report itop"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The paper, and where its records and reports lie."""
    options.json_option(parser)
    parser.add_argument("paper", help="folder of benchmarks/, like itop")
    options.out(parser)


def execute(given: argparse.Namespace) -> int:
    """Write the page; what it says of the paper is a finding, so that the exit code is 0."""
    from resparse.artifact import ROOT
    from resparse.report import files

    page, paths = files.write(given.paper, given.out or ROOT / "reports")
    if given.json:
        found = {"claims": page.claims_by_verdict, "numbers": page.cells_by_verdict}
        missing = sum(lack.runs - lack.there for lack in page.lacks)
        print(json.dumps(found | {"not_run": missing, "files": [str(p) for p in paths]}, indent=1))
        return 0
    for what, counts in (("claims", page.claims_by_verdict), ("numbers", page.cells_by_verdict)):
        print(f"{what}: {'; '.join(f'{n} {verdict}' for verdict, n in counts.items())}")
    print(f"written: {paths[0]}, and {len(paths) - 1} files beside it")
    return 0
