"""`resparse list`: every name that other commands take."""

import argparse
import json

from resparse.commands import options

SUMMARY = "methods, models, datasets, tables"
EXAMPLE = "resparse list"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Only --json."""
    options.json_option(parser)


def execute(given: argparse.Namespace) -> int:
    """Print the names by what they are of."""
    from resparse import artifact, registry
    from resparse.data import NAMES
    from resparse.models import MODELS
    from resparse.workloads import WORKLOADS

    found = {
        "tables and figures": artifact.names(),
        "methods": registry.names(),
        "models": list(MODELS),
        "datasets": list(NAMES),
        "workloads": list(WORKLOADS),
    }
    if given.json:
        print(json.dumps(found, indent=1))
    else:
        for what, names in found.items():
            print(f"{what}: {', '.join(names)}")
    return 0
