"""The command `compare`: a method on the panel, beside the stored records of the baselines."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from resparse import data
from resparse.artifact import check_seeds
from resparse.asked import Options, Request
from resparse.compare import page, panel, plan
from resparse.compare.baseline import require_equal, stored
from resparse.compare.comparison import Comparison, Found, compare
from resparse.compare.panel import Entrant, Entry, Panel, PanelLevel
from resparse.compare.plan import Wanted
from resparse.compare.tries import tried
from resparse.configure import check_trainable
from resparse.contract_process import check_apart
from resparse.disk import require_room
from resparse.errors import RunFailed, UsageError
from resparse.files import require_writable, write_atomic
from resparse.pace import StepTime, paces
from resparse.progress import Progress
from resparse.record import RunStore
from resparse.reproduce import require_all_ready
from resparse.resolve import resolve_method, resolve_workload
from resparse.runner import pending, run_all
from resparse.settings import settings
from resparse.slots import at_once
from resparse.workloads import Workload, workload

OWN = "that a method trains, updates and costs what it says on {names}, and no more"


def compare_method(request: Request) -> int:
    """Check the contract, train what is missing, compare, and write the page; the exit code."""
    found = panel.load()
    level = found.level(request.level)
    seeds = _seeds(request, level)
    request = dataclasses.replace(request, seeds=seeds if seeds != level.seeds else ())
    problems = _problems(request, level)
    if not request.json:
        print(f"checking the contract of {Path(request.reference).stem}", flush=True)
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
    _check_entrant(entrant, found, problems)
    hashes = _hashes(request, problems)
    shape = {"sparsities": found.panel.sparsities, "seeds": seeds}
    ours = panel.entries(entrant, level, problems, hashes, **shape)  # type: ignore[arg-type]
    theirs = [
        entry
        for baseline in found.baseline
        for entry in panel.entries(baseline, level, problems, hashes, **shape)  # type: ignore[arg-type]
    ]
    frozen = stored(theirs, request.level)
    store = RunStore(request.runs)
    new = [entry for entry in theirs if entry.run.key not in frozen.lines]
    wanted = Wanted(label=name, ours=ours, new=new, again=frozen.again, why_again=frozen.why)
    if request.plan_only:
        todo = plan.missing(wanted, store, rerun_stale=request.level == "smoke")
        print(plan.said(wanted, todo))
        print(plan.cost(todo, problems, request))
        return 0
    device = _train(wanted, problems, request)
    require_equal(frozen, store)
    result = compare(
        [_found(entry, store, {}) for entry in ours],
        [_found(entry, store, frozen.lines) for entry in theirs],
        margin=found.panel.margin_pp,
        tries=tried(store, ours),
    )
    if not request.json:
        print("timing steps of each method in turn", flush=True)
    timed = _paces(ours, theirs, request, device)
    facts = page.Facts(
        request=request.reference,
        level=request.level,
        shows=OWN.format(names=" and ".join(problems)) if request.workloads else level.shows,
        panel=", ".join(problems) if request.workloads else "the panel",
        panel_fields=level.fields,
        margin=found.panel.margin_pp,
        margin_reason=found.panel.margin_reason,
        run=ours[0].run,
        panel_seeds=len(level.seeds),
        checks=tuple(checks),
        paces=timed,
        seconds=_seconds(ours, store),
        made=_made(ours, store),
        device=str(store.folder(ours[0].run).record().provenance["device"]),
        frozen=frozen.said,
        command=_command(request),
    )
    return _report(request, result, facts)


def _check_entrant(entrant: Entrant, found: Panel, problems: Mapping[str, Workload]) -> None:
    """Raise UsageError for what could only fail once it trains, and for a name that would mix."""
    name = entrant.label
    if name in [b.label for b in found.baseline]:
        raise UsageError(f"method {name}: a baseline of the page has this name; valid: another")
    if name == "dense" or entrant.distribution == "dense":
        raise UsageError("dense training is a baseline of every page; valid: a sparse method")
    for problem in problems.values():
        for sparsity in found.panel.sparsities:
            check_trainable(problem, name, entrant.distribution, 1.0 - sparsity)


def _problems(request: Request, level: PanelLevel) -> dict[str, Workload]:
    if not request.workloads:
        return panel.problems(level.workloads, level.recipe)
    names = [resolve_workload(reference, request.runs) for reference in request.workloads]
    return {name: workload(name) for name in names}


def _seeds(request: Request, level: PanelLevel) -> tuple[int, ...]:
    """Those asked for, in the panel's order; UsageError where the panel has one not, or for one."""
    asked = check_seeds(request.seeds, "--seeds") if request.seeds else level.seeds
    beyond = [seed for seed in asked if seed not in level.seeds]
    if beyond or len(asked) < 2:
        what = f"{beyond[0]} is no seed of the panel" if beyond else "one seed compares nothing"
        known = ", ".join(map(str, level.seeds))
        raise UsageError(
            f"--seeds {','.join(map(str, asked))}: {what}; valid at level {request.level}: two or "
            f"more of {known}"
        )
    return tuple(seed for seed in level.seeds if seed in asked)


def _hashes(request: Request, problems: Mapping[str, Workload]) -> dict[str, str]:
    """Of each workload's images, which must be here where something is to be trained."""
    absent = {
        name
        for name, problem in problems.items()
        if request.plan_only and data.missing(problem.dataset, request.data_root)
    }
    here = {name: problem for name, problem in problems.items() if name not in absent}
    return panel.images(here, request.data_root) | dict.fromkeys(absent, "unread")


def _train(wanted: Wanted, problems: Mapping[str, Workload], request: Request) -> str:
    """Train what is missing; returns the device. Raises RunFailed with the first run's reason."""
    runs = wanted.runs
    options = Options(
        name="the panel",
        level=request.level,
        data_root=request.data_root,
        runs=request.runs,
        how=request.how,
    )
    how = require_all_ready(problems.values(), runs, options)
    require_writable(request.out)
    store = RunStore(request.runs)
    todo = pending(runs, store, rerun_stale=request.level == "smoke")
    workers = request.workers or at_once(how)
    require_room(todo, store, workers * how.replicates)
    total = len({run.key for run in runs} | {run.key for run in todo})
    if not request.json:
        print(plan.said(wanted, todo), flush=True)
    with Progress(total, total - len(todo), quiet=request.json) as progress:
        failed = run_all(
            todo,
            store,
            data_root=request.data_root,
            how=how,
            workers=workers,
            notify=progress.notify,
            give_up=True,
        )
    if failed:
        key, why = next(iter(failed.items()))
        run = next(run for run in todo if run.key == key)
        at = f"{run.model}, sparsity {1 - run.density:.4g}, seed {run.seed}"
        raise RunFailed(f"{len(failed)} of {total} runs failed, nothing is compared; {at}: {why}")
    return how.device


def _found(entry: Entry, store: RunStore, frozen: Mapping[str, dict[str, Any]]) -> Found:
    if entry.run.key in frozen:
        line = frozen[entry.run.key]
        return Found(entry=entry, status=line["status"], outcome=line["outcome"])
    record = store.record(entry.run)
    if record is None:
        raise RunFailed(f"run {entry.run.key} is not committed: repeat the command")
    return Found(entry=entry, status=record.status, outcome=record.outcome)


def _paces(
    ours: Sequence[Entry], theirs: Sequence[Entry], request: Request, device: str
) -> dict[tuple[str, str], StepTime]:
    """ms a step by (workload, entrant), at the panel's first sparsity: masks save no time."""
    timed: dict[tuple[str, str], StepTime] = {}
    for problem in dict.fromkeys(e.workload for e in ours):
        first = {
            e.label: e.run
            for e in reversed([*ours, *theirs])
            if e.workload == problem and e.length == 1 and e.sparsity == ours[0].sparsity
        }
        found = paces(first, request.runs, request.data_root, device)
        timed |= {(problem, label): pace for label, pace in found.items()}
    return timed


def _seconds(ours: Sequence[Entry], store: RunStore) -> dict[str, float]:
    """Mean wall seconds of the method's runs by workload."""
    walls: dict[str, list[float]] = {}
    for entry in ours:
        walls.setdefault(entry.workload, []).append(
            float(store.folder(entry.run).record().provenance["wall_s"])
        )
    return {name: sum(values) / len(values) for name, values in walls.items()}


def _made(ours: Sequence[Entry], store: RunStore) -> str:
    """Commits and torch of the method's own runs."""
    records = [store.folder(entry.run).record() for entry in ours]
    commits = sorted({record.made_at for record in records})
    torches = sorted({str(record.provenance["torch"]) for record in records})
    return f"{', '.join(commits)}, torch {', '.join(torches)}; keys of the runs in the csv"


def _command(request: Request) -> str:
    given = [Path(request.reference).name if "/" in request.reference else request.reference]
    given += [] if request.level == "smoke" else ["--level", request.level]
    for text in request.settings:
        given += ["--set", text]
    given += ["--distribution", request.distribution] if request.distribution else []
    for reference in request.workloads:
        given += ["--workload", Path(reference).name]
    given += ["--seeds", ",".join(map(str, request.seeds))] if request.seeds else []
    return " ".join(["nox -s compare --", *given])


def page_name(request: Request, label: str) -> str:
    """The page's file name without a suffix: what differs from the panel as it is stands in it."""
    level = () if request.level == "smoke" else (request.level,)
    spread = () if request.distribution is None else (request.distribution,)
    loads = [Path(reference).stem for reference in request.workloads]
    seeds = [f"seeds={','.join(map(str, request.seeds))}"] if request.seeds else []
    return "-".join([label, *level, *loads, *spread, *request.settings, *seeds])


def _report(request: Request, result: Comparison, facts: "page.Facts") -> int:
    folder = request.out / "compare"
    require_writable(folder)
    written = []
    for file, text in page.files(result, facts, page_name(request, result.label)).items():
        path = folder / file
        write_atomic(path, text)
        written.append(path)
    if request.json:
        print(page.as_json(result, facts))
    else:
        page.to_terminal(result, facts)
        print(f"written: {', '.join(str(path) for path in written)}")
    return 0
