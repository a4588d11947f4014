"""The command line; each command is thin and ends with an exit code of its own."""

import argparse
import json
import math
import os
import re
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from resparse.errors import Missing, ResparseError, RunFailed, UsageError

EXAMPLES = {
    "reproduce": "resparse reproduce itop/table2 --level smoke",
    "flops": "resparse flops --model resnet50 --dataset imagenet --density 0.1 --distribution erk",
    "freeze": "resparse freeze itop/table2",
    "list": "resparse list",
    "explain": "resparse explain 0123456789abcdef",
    "doctor": "resparse doctor",
}


UNUSED = {  # options that a way of running would ignore
    "plan": ("json", "out", "device", "strict", "runs", "workers"),
    "rehearse": ("json", "speed", "out", "strict", "data_root", "runs", "workers"),
    "exact_only": ("seeds", "speed", "device", "data_root", "runs", "workers"),
    "from_records": ("speed", "device", "workers"),
    "": ("speed",),
}


class Parser(argparse.ArgumentParser):
    """Usage errors are one sentence and exit code 5."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the whole usage."""
        raise UsageError(f"{message} (see {self.prog} --help)")


def parser() -> Parser:
    """All commands and their options."""
    top = Parser(prog="resparse", description="Does what papers say of sparse training hold?")
    commands = top.add_subparsers(dest="command", required=True, parser_class=Parser)

    def command(name: str, what: str, *, as_json: bool = True) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name,
            help=what,
            description=what,
            epilog=f"example: {EXAMPLES[name]}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if as_json:
            made.add_argument("--json", action="store_true", help="print JSON")
        return made

    def workers(made: argparse.ArgumentParser) -> None:
        text = "runs at once (default: one per core)"
        made.add_argument("--workers", type=_whole, metavar="N", help=text)

    def runs(made: argparse.ArgumentParser) -> None:
        text = "the run store (default: runs/ of the checkout)"
        made.add_argument("--runs", type=_folder, metavar="DIR", help=text)

    made = command("reproduce", "reproduce a table or figure")
    made.add_argument("artifact", help="like itop/table2")
    made.add_argument("--level", default="smoke", help="smoke (default) or paper")
    add = partial(made.add_argument, action="append", default=[])
    add("--seeds", help="like 0,1,2; repeatable (default: the level's)")
    add("--only", help="one row, by label; repeatable")
    add("--sparsity", help="like 0.9,0.8; repeatable")
    way = made.add_mutually_exclusive_group()
    way.add_argument("--exact-only", action="store_true", help="only the computed columns")
    way.add_argument("--plan", action="store_true", help="say what would run and cost, and stop")
    way.add_argument("--rehearse", action="store_true", help="three real steps of every row")
    way.add_argument("--from-records", action="store_true", help="report without training")
    made.add_argument("--speed", type=_speed, help="TFLOP/s for --plan (default: measured here)")
    text = "folder of the reports (default: reports/)"
    made.add_argument("--out", type=_folder, metavar="DIR", help=text)
    made.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    made.add_argument("--strict", action="store_true", help="inconclusive cells give exit code 3")
    text = "folder of the datasets (default: RESPARSE_DATA)"
    made.add_argument("--data-root", type=_folder, metavar="DIR", help=text)
    runs(made)
    workers(made)

    made = command("flops", "cost of a network at a density, exactly")
    made.add_argument("--model", required=True)
    made.add_argument("--dataset", required=True)
    made.add_argument("--density", type=float, required=True, help="share of weights kept")
    made.add_argument("--distribution", required=True, help="uniform, er, erk or dense")

    text = "make the frozen smoke records, from an empty store"
    made = command("freeze", text, as_json=False)
    made.add_argument("artifact", nargs="?", default="itop/table2")
    workers(made)

    command("list", "methods, models, datasets, tables")
    made = command("explain", "what a run of the store is and found")
    made.add_argument("key", help="16 hex digits, the name of its folder")
    runs(made)
    command("doctor", "what this machine has and lacks")
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; errors are one sentence on stderr and an exit code."""
    try:
        given = parser().parse_args(arguments)
        result: int = globals()[f"_{given.command}"](given)
        return result
    except ResparseError as error:
        print(f"resparse: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("resparse: interrupted; repeat the command to continue", file=sys.stderr)
        return 130


def _whole(text: str) -> int:
    if not re.fullmatch(r"0*[1-9]\d*", text):
        raise argparse.ArgumentTypeError(f"{text!r}; valid: a whole number, 1 or more")
    return int(text)


def _speed(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r}; valid: TFLOP/s above 0, like 60")
    return value


def _folder(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("''; valid: a folder")
    return Path(text).expanduser().resolve()


def _data_root(given: argparse.Namespace) -> Path | None:
    root = given.data_root or os.environ.get("RESPARSE_DATA")
    if root and not Path(root).is_dir():
        raise UsageError(
            f"data root {str(root)!r} is not a folder; valid: the folder with the datasets"
        )
    return Path(root).resolve() if root else None


def _numbers(texts: Sequence[str], kind: type, option: str) -> tuple[Any, ...]:
    try:
        return tuple(kind(part) for text in texts for part in text.split(","))
    except ValueError:
        like = "0,1,2" if kind is int else "0.9,0.8"
        raise UsageError(f"{option} {','.join(texts)!r}; valid: numbers like {like}") from None


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


def _reproduce(given: argparse.Namespace) -> int:
    from resparse.artifact import ROOT, check_seeds, check_sparsity, load
    from resparse.exact import require_computable
    from resparse.reproduce import Options, gpu_lacks, reproduce

    _require_used(given)
    table = load(given.artifact)
    table.level(given.level)
    seeds = check_seeds(_numbers(given.seeds, int, "--seeds"), "--seeds") if given.seeds else None
    if given.rehearse and seeds and len(seeds) > 1:
        raise UsageError(f"--seeds {','.join(given.seeds)}: valid with --rehearse: one seed")
    numbers = _numbers(given.sparsity, float, "--sparsity")
    sparsities = tuple(check_sparsity(number, "--sparsity") for number in numbers)
    if given.rehearse and given.device == "cuda" and gpu_lacks():
        raise Missing(f"--rehearse cannot run on --device cuda: {'; '.join(gpu_lacks())}")
    if not (given.plan or given.exact_only or given.from_records):  # before anything is trained
        require_computable(table, given.only or [row.label for row in table.rows])
    return reproduce(
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
            data_root=_data_root(given),
            runs=given.runs or ROOT / "runs",
            out=given.out or ROOT / "reports",
            device=given.device,
            workers=given.workers,
            speed=given.speed,
            strict=given.strict,
            json=given.json,
        )
    )


def _freeze(given: argparse.Namespace) -> int:
    from resparse.artifact import load
    from resparse.freeze import freeze

    if load(given.artifact).level("smoke").frozen_seeds < 1:
        raise UsageError(f"{given.artifact}: levels.smoke.frozen_seeds = 0; valid: 1 or more")
    return freeze(given.artifact, given.workers)


def _flops(given: argparse.Namespace) -> int:
    from resparse.report_flops import flops_report

    report = flops_report(given.model, given.dataset, given.density, given.distribution)
    if given.json:
        print(json.dumps(report, indent=1))
    else:
        for key, value in report.items():
            if key != "layers":
                print(f"{key}: {value}")
    return 0


def _list(given: argparse.Namespace) -> int:
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


def _explain(given: argparse.Namespace) -> int:
    from resparse.artifact import ROOT
    from resparse.record import RunStore

    root = given.runs or ROOT / "runs"
    folder = RunStore(root).at(given.key)
    if not re.fullmatch("[0-9a-f]{16}", given.key) or not folder.path.is_dir():
        raise UsageError(f"no run {given.key!r} in {root}; valid: a key, 16 hex digits, as there")
    if not folder.committed:
        why = folder.path / "failure.json"
        if why.is_file():
            failure = json.loads(why.read_text())
            raise RunFailed(f"run {given.key} failed: {failure['reason']}\n{failure['trace']}")
        raise RunFailed(
            f"run {given.key} in {root} is not finished: repeat the command that trains it"
        )
    record = folder.record()
    print(json.dumps(vars(record), indent=1, sort_keys=True))
    return 0


def _doctor(given: argparse.Namespace) -> int:
    from resparse.doctor import doctor

    return doctor(as_json=given.json)


def entry() -> NoReturn:
    """Console script."""
    sys.exit(main())


if __name__ == "__main__":
    entry()
