"""`resparse reproduce`: a table or figure, what it takes and what it says."""

import argparse
from functools import partial
from typing import TYPE_CHECKING

from resparse.commands import options
from resparse.errors import Missing, UsageError

if TYPE_CHECKING:
    from resparse.slurm.cluster import Cluster

SUMMARY = "reproduce a table or figure"
EXAMPLE = "resparse reproduce itop/table2 --level smoke"
NOT_PLANNED = tuple(name for name in options.HOW if name not in ("gpus", "accumulate"))
UNUSED = {  # options that a way of running would ignore
    "plan": ("json", "out", "device", "strict", "runs", "workers", "slurm", *NOT_PLANNED),
    "rehearse": (
        *("json", "speed", "out", "strict", "data_root", "runs", "workers", "slurm"),
        *options.HOW,
    ),
    "exact_only": (
        *("seeds", "speed", "device", "data_root", "runs", "workers", "slurm"),
        *options.HOW,
    ),
    "from_records": ("speed", "device", "workers", "slurm", *options.HOW),
    "": ("speed",),
}
OF_SLURM = ("partition", "gpus_per_node", "time", "sbatch")


def arguments(parser: argparse.ArgumentParser) -> None:
    """The table, the level, a choice of its runs, and four ways of running."""
    options.json_option(parser)
    parser.add_argument("artifact", help="like itop/table2")
    parser.add_argument("--level", default="smoke", help="smoke (default), mini (figures) or paper")
    add = partial(parser.add_argument, action="append", default=[])
    add("--seeds", help="like 0,1,2; repeatable (default: the level's)")
    add("--only", help="one row, by label; repeatable")
    add("--sparsity", help="like 0.9,0.8; repeatable")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--exact-only", action="store_true", help="only the computed columns")
    way.add_argument("--plan", action="store_true", help="say what would run and cost, and stop")
    way.add_argument("--rehearse", action="store_true", help="three real steps of every row")
    way.add_argument("--from-records", action="store_true", help="report without training")
    text = "TFLOP/s for --plan (default: measured here)"
    parser.add_argument("--speed", type=options.speed, help=text)
    options.out(parser)
    parser.add_argument("--strict", action="store_true", help="inconclusive cells give exit code 3")
    options.device(parser)
    options.computing(parser)
    options.runs(parser)
    options.workers(parser)
    text = "submit to Slurm, --workers of an array at once, or collect; see REPRODUCING.md"
    parser.add_argument("--slurm", action="store_true", help=text)
    parser.add_argument("--partition", metavar="P", help="of Slurm (default: the cluster's)")
    text = "of a job (default: 1 where the level needs a GPU)"
    parser.add_argument("--gpus-per-node", type=options.whole, metavar="N", help=text)
    text = "minutes of a job (default: 240); a run that needs more is requeued and continues"
    parser.add_argument("--time", type=options.whole, metavar="MIN", help=text)
    text = "any other option of sbatch, like account=mine or mem=32G; repeatable"
    add("--sbatch", metavar="KEY=VALUE", help=text)


def execute(given: argparse.Namespace) -> int:
    """Check what the command line says, then reproduce."""
    from resparse.artifact import ROOT, check_seeds, check_sparsity, load
    from resparse.asked import Options
    from resparse.exact import require_computable
    from resparse.figures import figure
    from resparse.figures.reproduce import reproduce_figure
    from resparse.reproduce import gpu_lacks, reproduce

    _require_used(given)
    cluster = _cluster(given)
    drawn = figure.is_figure(given.artifact)
    if drawn:  # a level of some panels alone draws those
        tables = figure.load(given.artifact).at(given.level).panels
    else:
        tables = (load(given.artifact),)
        tables[0].level(given.level)
    wanted = options.numbers(given.seeds, int, "--seeds")
    seeds = check_seeds(wanted, "--seeds") if given.seeds else None
    if given.rehearse and seeds and len(seeds) > 1:
        raise UsageError(f"--seeds {','.join(given.seeds)}: valid with --rehearse: one seed")
    shares = options.numbers(given.sparsity, float, "--sparsity")
    sparsities = tuple(check_sparsity(share, "--sparsity") for share in shares)
    if given.rehearse and given.device == "cuda" and gpu_lacks():
        raise Missing(f"--rehearse cannot run on --device cuda: {'; '.join(gpu_lacks())}")
    if not (given.plan or given.exact_only or given.from_records):  # before anything is trained
        for table in tables:
            require_computable(table, given.only or [row.label for row in table.rows])
    return (reproduce_figure if drawn else reproduce)(
        Options(
            name=given.artifact,
            level=given.level,
            seeds=seeds,
            only=tuple(given.only),
            sparsities=sparsities,
            exact_only=given.exact_only,
            plan_only=given.plan,
            rehearse=given.rehearse,
            from_records=given.from_records,
            data_root=options.data_root(given),
            runs=given.runs or ROOT / "runs",
            out=given.out or ROOT / "reports",
            how=options.how(given),
            workers=given.workers,
            slurm=cluster,
            speed=given.speed,
            strict=given.strict,
            json=given.json,
        )
    )


def _cluster(given: argparse.Namespace) -> "Cluster | None":
    """What --slurm and its options say, None without it."""
    from resparse.slurm.cluster import Cluster

    said = {name: getattr(given, name) for name in OF_SLURM if getattr(given, name)}
    if said and not given.slurm:
        option = f"--{next(iter(said)).replace('_', '-')}"
        raise UsageError(f"{option} without --slurm, which alone uses it; valid: with --slurm")
    if not given.slurm:
        return None
    cluster = Cluster(
        partition=given.partition,
        gpus_per_node=given.gpus_per_node,
        time_min=given.time or 240,
        sbatch=tuple(given.sbatch),
    )
    cluster.parameters(options.how(given))  # before anything is read
    return cluster


def _require_used(given: argparse.Namespace) -> None:
    """Refuse an option that the chosen way of running would ignore."""
    way = next((way for way in UNUSED if way and getattr(given, way)), "")
    for name in UNUSED[way]:
        value = getattr(given, name)
        if value not in (None, False, [], "auto"):
            option, mode = (f"--{x.replace('_', '-')}" for x in (name, way or "plan"))
            said = " ".join([option, *(value if isinstance(value, list) else [])])
            who = f"{mode} does not use it" if way else f"only {mode} uses it"
            raise UsageError(f"{said}: {who}; valid: without {option}")
