"""`resparse flops`: what a network costs at a density, without training it."""

import argparse
import json

from resparse.commands import options
from resparse.errors import UsageError

SUMMARY = "cost of a network at a density, exactly"
EXAMPLE = "resparse flops --model resnet50 --dataset imagenet --density 0.1 --distribution erk"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The network, by a workload or a model and a dataset, and how sparse it is."""
    options.json_option(parser)
    options.workload(parser)
    parser.add_argument("--model")
    parser.add_argument("--dataset")
    parser.add_argument("--density", type=float, required=True, help="share of weights kept")
    parser.add_argument("--distribution", required=True, help="uniform, er, erk or dense")


def execute(given: argparse.Namespace) -> int:
    """Print the report."""
    from resparse.outside import prints_aside
    from resparse.render_flops import print_flops
    from resparse.report_flops import flops_report

    model, dataset, steps = _network(given)
    with prints_aside():
        report = flops_report(model, dataset, given.density, given.distribution, steps=steps)
    if given.json:
        print(json.dumps(report, indent=1))
        return 0
    print_flops(
        report, f"{model} on {dataset}, density {given.density:g} by {given.distribution}", steps
    )
    return 0


def _network(given: argparse.Namespace) -> tuple[str, str, int]:
    """(model, dataset, steps of the methods' schedules); raises UsageError unless named one way."""
    from resparse.report_flops import STEPS
    from resparse.resolve import resolve_workload
    from resparse.workloads import workload

    pair = (given.model, given.dataset)
    if (given.workload is None) == (pair == (None, None)) or (None in pair and any(pair)):
        names = {"--workload": given.workload, "--model": pair[0], "--dataset": pair[1]}
        said = " ".join(f"{option} {name}" for option, name in names.items() if name is not None)
        raise UsageError(
            f"flops {said or 'without a network'}; valid: --workload, or --model and --dataset"
        )
    if given.workload is None:
        return given.model, given.dataset, STEPS
    problem = workload(resolve_workload(given.workload, None))
    return problem.model, problem.dataset, problem.recipe.resolve(problem.train_size, 1.0).steps
