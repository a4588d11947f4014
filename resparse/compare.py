"""The command `compare`: a method on the panel, beside the stored records of the baselines."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resparse import compare_page, panel
from resparse.artifact import ROOT
from resparse.comparison import Comparison, Found, compare
from resparse.contract_process import check_apart
from resparse.errors import RunFailed
from resparse.files import read_json, require_writable, write_atomic
from resparse.frozen import frozen_lines
from resparse.pace import paces
from resparse.panel import Entrant, Entry, PanelLevel
from resparse.progress import Progress
from resparse.record import Run, RunStore
from resparse.reproduce import Options, require_ready
from resparse.resolve import resolve_method, resolve_workload
from resparse.runner import pending, run_all
from resparse.settings import settings
from resparse.workloads import Workload, workload


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the command line says."""

    reference: str  # a file, a method's name, or an installed package's entry point
    level: str = "smoke"
    settings: tuple[str, ...] = ()  # fields, each as name=value
    distribution: str | None = None
    workloads: tuple[str, ...] = ()
    data_root: Path | None = None
    runs: Path = ROOT / "runs"
    out: Path = ROOT / "reports"
    device: str = "auto"
    workers: int | None = None
    json: bool = False


def compare_method(request: Request) -> int:
    """Check the contract, train what is missing, compare, and write the page; the exit code."""
    found = panel.load()
    level = found.level(request.level)
    problems = _problems(request, level)
    portable = any(problem.precision == "portable" for problem in problems.values())
    checks = check_apart(request.reference, request.runs, texts=request.settings, portable=portable)
    name, digest = resolve_method(request.reference, request.runs)
    entrant = Entrant(
        label=name,
        method=name,
        distribution=request.distribution or found.panel.distribution,
        fields=settings(name, request.settings),
        method_sha256=digest,
    )
    baselines = [b for b in found.baseline if b.method != name or b.label != name]
    hashes = panel.images(problems, request.data_root)
    shape = {"sparsities": found.panel.sparsities, "seeds": level.seeds}
    ours = panel.entries(entrant, level, problems, hashes, **shape)  # type: ignore[arg-type]
    theirs = [
        entry
        for baseline in baselines
        for entry in panel.entries(baseline, level, problems, hashes, **shape)  # type: ignore[arg-type]
    ]
    frozen = {line["key"]: line for line in frozen_lines("compare/panel", request.level)}
    store = RunStore(request.runs)
    device = _train([*ours, *(e for e in theirs if e.run.key not in frozen)], problems, request)
    result = compare(
        [_found(entry, store, {}) for entry in ours],
        [_found(entry, store, frozen) for entry in theirs],
        margin=found.panel.margin_pp,
        tries=tried(store, ours),
    )
    timed = _paces(ours, theirs, request, device)
    facts = compare_page.Facts(
        request=request.reference,
        level=request.level,
        shows=level.shows,
        margin=found.panel.margin_pp,
        margin_reason=found.panel.margin_reason,
        run=ours[0].run,
        checks=tuple(checks),
        paces=timed,
        seconds=_seconds(ours, store),
        device=str(store.folder(ours[0].run).record().provenance["device"]),
        frozen=_frozen_facts(theirs, frozen),
        command=_command(request),
    )
    return _report(request, result, facts)


def _problems(request: Request, level: PanelLevel) -> dict[str, Workload]:
    if not request.workloads:
        return panel.problems(level.workloads, request.level)
    names = [resolve_workload(reference, request.runs) for reference in request.workloads]
    return {name: workload(name) for name in names}


def _train(entries: Sequence[Entry], problems: Mapping[str, Workload], request: Request) -> str:
    """Train what is missing; returns the device. Raises RunFailed with the first run's reason."""
    batch = max(e.run.recipe.batch_size for e in entries)
    options = Options(
        name="the panel",
        level=request.level,
        data_root=request.data_root,
        runs=request.runs,
        device=request.device,
    )
    device = next(require_ready(problem, options, batch) for problem in problems.values())
    require_writable(request.out)
    store = RunStore(request.runs)
    runs = [e.run for e in entries]
    todo = pending(runs, store, rerun_stale=request.level == "smoke")
    total = len({run.key for run in runs} | {run.key for run in todo})
    with Progress(total, total - len(todo), quiet=request.json) as progress:
        failed = run_all(
            todo,
            store,
            data_root=request.data_root,
            device=device,
            workers=request.workers or (len(os.sched_getaffinity(0)) if device == "cpu" else 1),
            notify=progress.notify,
            give_up=True,
        )
    if failed:
        key, why = next(iter(failed.items()))
        run = next(run for run in todo if run.key == key)
        at = f"{run.model}, sparsity {1 - run.density:.4g}, seed {run.seed}"
        raise RunFailed(f"{len(failed)} of {total} runs failed, nothing is compared; {at}: {why}")
    return device


def _found(entry: Entry, store: RunStore, frozen: Mapping[str, dict[str, Any]]) -> Found:
    if entry.run.key in frozen:
        line = frozen[entry.run.key]
        return Found(entry=entry, status=line["status"], outcome=line["outcome"])
    record = store.record(entry.run)
    if record is None:
        raise RunFailed(f"run {entry.run.key} is not committed: repeat the command")
    return Found(entry=entry, status=record.status, outcome=record.outcome)


def tried(store: RunStore, ours: Sequence[Entry]) -> int:
    """Configurations of this method, the present one included, that the store has on these data.

    The file, its fields and the distribution make a configuration; seeds and sparsities do not.
    """
    name = ours[0].run.method
    problems = {(e.run.model, e.run.dataset) for e in ours}
    seen = set()
    for file in store.root.glob("*/manifest.json"):
        config = read_json(file)["config"]
        if config["method"] == name and (config["model"], config["dataset"]) in problems:
            seen.add(_configuration(Run.from_config(config)))
    return len(seen | {_configuration(ours[0].run)})


def _configuration(run: Run) -> tuple[str, str, str]:
    return run.method_sha256, json.dumps(run.fields, sort_keys=True), run.distribution


def _paces(
    ours: Sequence[Entry], theirs: Sequence[Entry], request: Request, device: str
) -> dict[tuple[str, str], float]:
    """ms a step by (workload, entrant), at the panel's first sparsity: masks save no time."""
    timed: dict[tuple[str, str], float] = {}
    for problem in dict.fromkeys(e.workload for e in ours):
        first = {
            e.label: e.run
            for e in reversed([*ours, *theirs])
            if e.workload == problem and e.length == 1 and e.sparsity == ours[0].sparsity
        }
        found = paces(first, request.runs, request.data_root, device)
        timed |= {(problem, label): ms for label, ms in found.items()}
    return timed


def _seconds(ours: Sequence[Entry], store: RunStore) -> dict[str, float]:
    """Mean wall seconds of the method's runs by workload."""
    walls: dict[str, list[float]] = {}
    for entry in ours:
        walls.setdefault(entry.workload, []).append(
            float(store.folder(entry.run).record().provenance["wall_s"])
        )
    return {name: sum(values) / len(values) for name, values in walls.items()}


def _frozen_facts(theirs: Sequence[Entry], frozen: Mapping[str, Any]) -> str:
    """Where the baselines' numbers come from, in words."""
    keys = {entry.run.key for entry in theirs}
    stored = len(keys & set(frozen))
    if not stored:
        return f"{len(keys)} runs of this store"
    facts = read_json((ROOT / panel.FROZEN).with_suffix(".provenance.json"))
    text = f"{stored} frozen records, made at {facts['git_sha'][:12]} with torch {facts['torch']}"
    return text if stored == len(keys) else f"{text}; {len(keys) - stored} runs of this store"


def _command(request: Request) -> str:
    given = [Path(request.reference).name if "/" in request.reference else request.reference]
    given += [] if request.level == "smoke" else ["--level", request.level]
    for text in request.settings:
        given += ["--set", text]
    given += ["--distribution", request.distribution] if request.distribution else []
    for reference in request.workloads:
        given += ["--workload", Path(reference).name]
    return " ".join(["nox -s compare --", *given])


def _report(request: Request, result: Comparison, facts: "compare_page.Facts") -> int:
    folder = request.out / "compare"
    require_writable(folder)
    name = result.label if request.level == "smoke" else f"{result.label}-{request.level}"
    written = []
    for suffix, text in compare_page.files(result, facts, name).items():
        path = folder / f"{name}.{suffix}"
        write_atomic(path, text)
        written.append(path)
    if request.json:
        print(compare_page.as_json(result, facts))
    else:
        compare_page.to_terminal(result, facts)
        print(f"written: {', '.join(str(path) for path in written)}")
    return 0
