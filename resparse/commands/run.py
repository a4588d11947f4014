"""`resparse run`: train one method on one workload."""

import argparse
import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from resparse.commands import options

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from resparse.record import Record

SUMMARY = "train one method on one workload, yours or the suite's"
EXAMPLE = "resparse run rigl --density 0.1 --seeds 0,1 --set interval=25"


def arguments(parser: argparse.ArgumentParser) -> None:
    """The method, the workload, how sparse, and where."""
    options.json_option(parser)
    parser.add_argument("method", help="a name (resparse list) or a file like my_method.py")
    options.workload(parser, default="digits_resnet8")
    parser.add_argument("--density", type=float, default=0.1, help="share of weights kept")
    parser.add_argument("--distribution", default="erk", help="uniform, er or erk (default)")
    add = partial(parser.add_argument, action="append", default=[])
    add("--seeds", help="like 0,1,2; repeatable (default: 0)")
    add("--set", metavar="FIELD=VALUE", help="a field of the method; repeatable")
    text = "factor on the workload's steps (default: 1)"
    parser.add_argument("--length", type=float, default=1.0, help=text)
    text = "method whose run lth, ltr and their like start from (default: dense)"
    parser.add_argument("--parent", default="dense", metavar="METHOD", help=text)
    text = "a field of the parent; repeatable"
    add("--set-parent", metavar="FIELD=VALUE", help=text)
    text = "share of the parent's steps whose weights they start from (default: 0)"
    parser.add_argument("--rewind", type=float, default=0.0, metavar="SHARE", help=text)
    text = "training images held out to choose the best epoch on: 5k, 10%%, 0 (all train)"
    parser.add_argument("--val", metavar="N", help=text)
    text = "also note the best epoch on the test images, as some papers report it"
    parser.add_argument("--test-every-epoch", action="store_true", help=text)
    text = "another than the workload's: fp32, tf32, bf16, fp16, or half: bf16, fp16 on a V100"
    parser.add_argument("--precision", metavar="NAME", help=text)
    text = "masked (default); sparse: layers store and multiply active weights only; auto: both"
    parser.add_argument("--engine", default="masked", metavar="NAME", help=text)
    text = "density below which a layer is sparse (default: measured once on this machine)"
    parser.add_argument("--crossover", type=float, metavar="D", help=text)
    options.device(parser)
    text = "batch norm over the batches of all GPUs together"
    parser.add_argument("--sync-batch-norm", action="store_true", help=text)
    options.computing(parser)
    options.runs(parser)
    options.workers(parser)


def execute(given: argparse.Namespace) -> int:
    """Train what is missing; a line a record, or JSON; of several processes the first prints."""
    from resparse import api, distributed
    from resparse.artifact import ROOT
    from resparse.progress import Progress
    from resparse.record import RunStore
    from resparse.resolve import resolve_method
    from resparse.runner import pending
    from resparse.settings import settings

    store, folder = RunStore(given.runs or ROOT / "runs"), options.data_root(given)
    name, _ = resolve_method(given.method, store.root)
    parent, _ = resolve_method(given.parent, store.root)
    runs, problem = api.configured(
        given.method,
        workload_is=given.workload,
        density=given.density,
        distribution=given.distribution,
        seeds=options.numbers(given.seeds or ["0"], int, "--seeds"),
        length=given.length,
        fields=settings(name, given.set),
        recipe={"sync_batch_norm": True} if given.sync_batch_norm else {},
        parent=given.parent,
        parent_fields=settings(parent, given.set_parent, "--set-parent"),
        rewind=given.rewind,
        val=given.val,
        test_every_epoch=given.test_every_epoch,
        precision=given.precision,
        engine=given.engine,
        store=store,
        data_root=folder,
    )
    how = replace(options.how(given), crossover=given.crossover)
    with distributed.joined(how.timeout_s):
        todo = distributed.agreed(lambda: pending(runs, store, rerun_stale=True))
        total, quiet = len({run.key for run in (*runs, *todo)}), not distributed.first()
        with Progress(total, total - len(todo), quiet=given.json or quiet) as progress:
            where = {"data_root": folder, "workers": given.workers}
            done = api.train(runs, problem, store, how=how, notify=progress.notify, **where)
    if quiet:
        return 0
    if given.json:
        print(json.dumps([vars(record) for record in done], indent=1))
    else:
        for record in done:
            print(line(record))
    return 0


def line(record: "Record") -> str:
    """What a run found, on one line; FLOPs are counted, for no time is saved."""
    found, run = record.outcome, record.run
    ended = "" if record.status == "completed" else f"; {record.status}: {record.reason}"
    return (
        f"{record.key} {run.method} on {run.model}/{run.dataset}, density {run.density:g} "
        f"({run.distribution}), seed {run.seed}: top-1 {found['top1_last']:.2f} % (last step"
        f"{chosen(found)}), "
        f"R_s {found['rs']:.3f}, R_s trained {found['rs_trained']:.3f}, "
        f"train FLOPs {found['train_flops_vs_dense']:.3f}x dense, "
        f"test FLOPs {found['test_flops'] / found['dense_forward_flops']:.3f}x dense, "
        f"{record.provenance['wall_s']:.1f} s{stored(record)}{kept_alive(found)}{ended}"
    )


def stored(record: "Record") -> str:
    """The layers whose weights were stored where their masks are, below the crossover; or none."""
    if record.run.engine == "masked":
        return ""
    said = record.provenance["engine"]
    able = [name for name, how in said.items() if how.startswith("sparse")]
    return f"; engine {record.run.engine}: {', '.join(able) or next(iter(said.values()))}"


def chosen(found: "Mapping[str, Any]") -> str:
    """The other numbers that a run could be reported by, and what chose their epochs."""
    said = ""
    for of, what in (("val", "validation"), ("test", "test images, which flatters")):
        if (top1 := found.get(f"top1_best_{of}")) is not None:
            said += f"; {top1:.2f} % at epoch {found[f'best_{of}_epoch']}, best by {what}"
    return said


def kept_alive(found: "Mapping[str, Any]") -> str:
    """The layers that pruning would have emptied, by name; "" where there was none."""
    starved = found.get("starved")
    return f"; collapse averted in layers {', '.join(starved)}" if starved else ""
