"""`resparse flops`: what a network costs at a density, without training it."""

import argparse
import json

from resparse.commands import options

SUMMARY = "cost of a network at a density, exactly"
EXAMPLE = "resparse flops --model resnet50 --dataset imagenet --density 0.1 --distribution erk"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The network and how sparse it is."""
    options.json_option(parser)
    parser.add_argument("--model", required=True)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--density", type=float, required=True, help="share of weights kept")
    parser.add_argument("--distribution", required=True, help="uniform, er, erk or dense")


def execute(given: argparse.Namespace) -> int:
    """Print the report; its rows per layer only as JSON."""
    from resparse.report_flops import flops_report

    report = flops_report(given.model, given.dataset, given.density, given.distribution)
    if given.json:
        print(json.dumps(report, indent=1))
        return 0
    for key, value in report.items():
        if key != "layers":
            print(f"{key}: {value}")
    return 0
