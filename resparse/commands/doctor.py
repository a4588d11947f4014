"""`resparse doctor`: what this machine has and lacks."""

import argparse

from resparse.commands import options

SUMMARY = "what this machine has and lacks"
EXAMPLE = "resparse doctor"


def arguments(parser: argparse.ArgumentParser) -> None:
    """--runs and --json."""
    options.runs(parser)
    options.json_option(parser)


def execute(given: argparse.Namespace) -> int:
    """Print what is there."""
    from resparse.doctor import doctor

    return doctor(as_json=given.json, runs=given.runs)
