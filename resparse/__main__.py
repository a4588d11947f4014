"""The command line; each command is thin and ends with an exit code of its own."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from resparse.errors import ResparseError, UsageError

EXAMPLES = {
    "reproduce": "resparse reproduce itop/table2 --level smoke",
    "flops": "resparse flops --model resnet50 --dataset imagenet --density 0.1 --distribution erk",
    "freeze": "resparse freeze itop/table2",
    "list": "resparse list",
    "explain": "resparse explain 0123456789abcdef",
    "doctor": "resparse doctor",
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

    def command(name: str, what: str) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name,
            help=what,
            description=what,
            epilog=f"example: {EXAMPLES[name]}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        made.add_argument("--json", action="store_true", help="print JSON")
        return made

    def places(made: argparse.ArgumentParser) -> None:
        made.add_argument("--data-root", help="folder of the datasets (default: RESPARSE_DATA)")
        made.add_argument("--runs", help="the run store (default: runs/ of the checkout)")
        made.add_argument("--workers", type=int, help="runs at once (default: one per core)")

    made = command("reproduce", "reproduce a table or figure")
    made.add_argument("artifact", help="like itop/table2")
    made.add_argument("--level", default="smoke", help="smoke (default) or paper")
    made.add_argument("--seeds", help="like 0,1,2 (default: the level's)")
    made.add_argument("--only", action="append", default=[], help="one row, by label; repeatable")
    made.add_argument("--sparsity", action="append", default=[], help="like 0.9; repeatable")
    made.add_argument("--exact-only", action="store_true", help="only the computed columns")
    made.add_argument("--plan", action="store_true", help="say what would run and cost, and stop")
    made.add_argument("--rehearse", action="store_true", help="three real steps of every row")
    made.add_argument("--from-records", action="store_true", help="report without training")
    made.add_argument("--speed", type=float, help="TFLOP/s for --plan (default: measured here)")
    made.add_argument("--out", help="folder of the reports (default: reports/)")
    made.add_argument("--device", default="auto", help="auto, cpu or cuda")
    made.add_argument("--strict", action="store_true", help="inconclusive cells give exit code 3")
    places(made)

    made = command("flops", "cost of a network at a density, exactly")
    made.add_argument("--model", required=True)
    made.add_argument("--dataset", required=True)
    made.add_argument("--density", type=float, required=True, help="share of weights kept")
    made.add_argument("--distribution", required=True, help="uniform, er, erk or dense")

    made = command("freeze", "make the frozen smoke records, from an empty store")
    made.add_argument("artifact", nargs="?", default="itop/table2")
    places(made)

    command("list", "methods, models, datasets, tables")
    made = command("explain", "what a run of the store is and found")
    made.add_argument("key")
    places(made)
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


def _path(given: str | None, default: Path) -> Path:
    return Path(given).expanduser().resolve() if given else default


def _data_root(given: argparse.Namespace) -> Path | None:
    root = given.data_root or os.environ.get("RESPARSE_DATA")
    if root and not Path(root).is_dir():
        raise UsageError(f"data root {root!r} is not a folder; valid: the folder with the datasets")
    return Path(root).resolve() if root else None


def _numbers(text: str, kind: type, what: str) -> tuple[Any, ...]:
    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{what} {text!r}; valid: {kind.__name__} values like 0,1,2") from None


def _reproduce(given: argparse.Namespace) -> int:
    from resparse.artifact import ROOT, check_sparsity, load
    from resparse.reproduce import Options, reproduce

    load(given.artifact).level(given.level)
    sparsities = tuple(
        check_sparsity(_numbers(text, float, "--sparsity")[0], "--sparsity")
        for text in given.sparsity
    )
    if given.workers is not None and given.workers < 1:
        raise UsageError(f"--workers {given.workers}; valid: 1 or more")
    if given.device not in ("auto", "cpu", "cuda"):
        raise UsageError(f"--device {given.device!r}; valid: auto, cpu, cuda")
    return reproduce(
        Options(
            name=given.artifact,
            level=given.level,
            seeds=_numbers(given.seeds, int, "--seeds") if given.seeds is not None else None,
            only=tuple(given.only),
            sparsities=sparsities,
            exact_only=given.exact_only,
            plan_only=given.plan,
            rehearse=given.rehearse,
            from_records=given.from_records,
            data_root=_data_root(given),
            runs=_path(given.runs, ROOT / "runs"),
            out=_path(given.out, ROOT / "reports"),
            device=given.device,
            workers=given.workers,
            speed=given.speed,
            strict=given.strict,
            json=given.json,
        )
    )


def _freeze(given: argparse.Namespace) -> int:
    from resparse.freeze import freeze

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

    folder = _path(given.runs, ROOT / "runs") / given.key
    if not folder.is_dir():
        raise UsageError(f"no run {given.key!r} in {folder.parent}; see the folder for its keys")
    record = RunStore(folder.parent).at(given.key).record()
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
