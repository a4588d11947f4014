"""The command `reproduce`: plan, check, train what is missing, and report a table."""

import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

import torch

from resparse import artifact as artifacts
from resparse import cells, data, plan, render, report_files
from resparse.artifact import Artifact, Planned
from resparse.asked import Options
from resparse.disk import require_room
from resparse.errors import Missing, UsageError, worst
from resparse.files import require_writable
from resparse.frozen import frozen_lines
from resparse.how import How
from resparse.progress import Progress
from resparse.record import Record, RunStore
from resparse.rehearse import rehearse
from resparse.rs_section import sections
from resparse.runner import git, pending, run_all
from resparse.slots import at_once
from resparse.verdict import Verdict, exit_code
from resparse.worker import code_of
from resparse.workloads import Workload, workload

CODE = ("resparse", "methods", "benchmarks", "requirements", "pyproject.toml", "noxfile.py")
ENGINES = {
    "masked": "masked: simulated sparsity, no time is saved",
    "auto": "auto: weights stored where their masks are, in layers where that is quicker",
}


def reproduce(options: Options) -> int:
    """Do what ``options`` ask; returns the command's exit code."""
    table = artifacts.load(options.name)
    level = table.level(options.level)
    problem = workload(level.workload)
    seeds = artifacts.check_seeds(options.seeds or level.seeds, "--seeds")
    if options.rehearse:
        seeds = seeds[:1]
    choice = {"seeds": seeds, "only": options.only, "sparsities": options.sparsities}
    planned = artifacts.plan(table, options.level, "unread", **choice)  # type: ignore[arg-type]
    if options.plan_only:
        print(plan.text(table, options, planned, problem))
        return 0
    if options.exact_only:
        return _report(table, options, seeds, {}, {}, set())
    if options.rehearse:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        device = device if options.how.device == "auto" else options.how.device
        rehearse(planned, device, lambda line: print(line, flush=True))
        return 0
    batch = max(p.run.recipe.batch_size for p in planned)
    ready = None if options.from_records else require_ready(problem, options, batch)
    if not options.partial:
        require_writable(options.out)
    store = RunStore(options.runs)
    sha256 = data.load(problem.dataset, options.data_root).sha256
    planned = artifacts.plan(table, options.level, sha256, **choice)  # type: ignore[arg-type]
    failures = _train(planned, store, ready, options) if ready else {}
    return _report(table, options, seeds, *_collect(planned, store, failures))


def require_ready(problem: Workload, options: Options, batch: int) -> How:
    """How to train batches of ``batch``, its device known; raises Missing with all not here."""
    lack = data.missing(problem.dataset, options.data_root)
    lacking = [lack] if lack else []
    device = "cuda" if problem.needs_gpu else "cpu"
    if options.how.device != "auto":
        device = options.how.device
    how = replace(options.how, device=device)
    if device.startswith("cuda") and problem.precision == "portable":
        raise UsageError(
            f"--device {device}: {options.level} trains in portable numerics; valid: cpu"
        )
    if device.startswith("cuda") and options.slurm is None:  # its GPUs are elsewhere
        lacking += gpu_lacks() or memory_lacks(problem, -(-batch // (how.world * how.accumulate)))
    if lacking:
        raise Missing(
            f"level {options.level} of {options.name} cannot run here: {'; '.join(lacking)}. "
            f"See its cost with --plan, try it without data with --rehearse"
        )
    how.require(problem.precision, batch)
    return how


def gpu_lacks() -> list[str]:
    """Why this machine's GPU cannot be used, empty where it can."""
    if not torch.cuda.is_available():
        return ["no CUDA GPU is visible"]
    major, minor = torch.cuda.get_device_capability()
    built = torch.cuda.get_arch_list()
    kernels = [divmod(int(arch[3:].rstrip("af")), 10) for arch in built if arch.startswith("sm_")]
    if not any(had == major and has <= minor for had, has in kernels):
        cure = "install requirements/v100.lock" if major < 8 else "a newer torch is needed"
        return [
            f"torch {torch.__version__} has no kernels for {torch.cuda.get_device_name()} "
            f"(sm_{major}{minor}; it has {', '.join(built)}): {cure}"
        ]
    return []


def memory_lacks(problem: Workload, batch: int) -> list[str]:
    """Why this machine's GPU cannot hold a batch, empty where it can."""
    needed = batch * plan.activation_bytes(problem)
    there = torch.cuda.get_device_properties(0).total_memory
    if needed <= there:
        return []
    return [
        f"a GPU's part of a batch, {batch} images, keeps {needed / 1e9:.0f} GB of activations and "
        f"{torch.cuda.get_device_name()} has {there / 1e9:.0f} GB; valid: more GPUs (--gpus), "
        "or more parts of a batch (--accumulate)"
    ]


def _train(
    planned: Sequence[Planned], store: RunStore, how: How, options: Options
) -> dict[str, str]:
    runs = [p.run for p in planned]
    todo = pending(runs, store, rerun_stale=options.level == "smoke")
    if options.slurm is not None:
        from resparse import slurm

        return slurm.run_all(
            todo,
            store,
            data_root=options.data_root,
            how=how,
            workers=options.workers,
            cluster=options.slurm,
            say=partial(print, file=sys.stderr if options.json else None, flush=True),
        )
    workers = options.workers or at_once(how)
    require_room(todo, store, workers * how.replicates)
    total = len({run.key for run in runs} | {run.key for run in todo})
    with Progress(total, total - len(todo), quiet=options.json) as progress:
        return run_all(
            todo,
            store,
            data_root=options.data_root,
            how=how,
            workers=workers,
            notify=progress.notify,
        )


def _collect(
    planned: Sequence[Planned], store: RunStore, failures: dict[str, str]
) -> tuple[dict[tuple[str, float], list[Record | None]], dict[tuple[str, float], str], set[str]]:
    """(records, failures) by cell, and the keys of records made by other code."""
    records: dict[tuple[str, float], list[Record | None]] = {}
    failed: dict[tuple[str, float], str] = {}
    stale = set()
    for item in planned:
        cell = (item.label, item.sparsity)
        record = store.record(item.run)
        records.setdefault(cell, []).append(record)
        if record is None and item.run.key in failures:
            failed[cell] = f"seed {item.run.seed}: {failures[item.run.key]}"
        if record is not None and record.fingerprint != code_of(item.run):
            stale.add(record.key)
    return records, failed, stale


def _distinct(values: Iterable[str]) -> str:
    return ", ".join(sorted(set(values))) or "none: nothing is trained"


def _distributions(table: Artifact, labels: Sequence[str]) -> str:
    rows = [row for row in table.rows if row.label in labels]
    kinds = dict.fromkeys(row.distribution for row in rows)
    if len(kinds) == 1:
        return f"{rows[0].distribution}, all rows"
    named = {kind: [r.label for r in rows if r.distribution == kind] for kind in kinds}
    return "; ".join(f"{kind}: {', '.join(found)}" for kind, found in named.items())


def command(table: Artifact, options: Options) -> str:
    """The nox command that makes the same table; where files lie does not count."""
    given = [] if options.level == "smoke" else ["--level", options.level]
    given += [] if not options.seeds else ["--seeds", ",".join(map(str, options.seeds))]
    for label in options.only:
        given += ["--only", shlex.quote(label)]
    for sparsity in options.sparsities:
        given += ["--sparsity", str(sparsity)]
    given += ["--exact-only"] if options.exact_only else []
    if "/" in table.name:  # a panel of a figure has no session of its own
        return " ".join([f"resparse reproduce {table.id}", *given])
    return " ".join([f"nox -s {table.name}", *(["--", *given] if given else [])])


def _report(
    table: Artifact,
    options: Options,
    seeds: Sequence[int],
    records: dict[tuple[str, float], list[Record | None]],
    failed: dict[tuple[str, float], str],
    stale: set[str],
) -> int:
    exact = options.exact_only
    made = [record for found in records.values() for record in found if record is not None]
    level = table.level(options.level)
    sparsities = options.sparsities or table.sparsities
    labels = [r.label for r in table.rows if not options.only or r.label in options.only]
    rows = cells.build(
        table,
        options.level,
        records,
        failed,
        stale,
        comparable=options.level == "paper",
        sparsities=sparsities,
        labels=labels,
        exact_only=exact,
    )
    shows = "FLOPs and R_s of the paper's own network, computed" if exact else level.shows
    header = {
        "command": command(table, options),
        "git sha": (git("rev-parse", "HEAD")[:12] or "unknown")
        + (" + uncommitted changes" if git("status", "--porcelain", "--", *CODE) else ""),
        "records made at": _distinct(r.made_at for r in made),
        "device": _distinct(r.provenance["device"] for r in made),
        "seeds": "none" if exact else ", ".join(map(str, seeds)),
        "level": "exact columns only" if exact else f"{options.level} ({level.workload})",
        "what it shows": shows,
        "distribution": _distributions(table, labels),
        "engine": ENGINES[level.engine],
        "margin": f"{table.margin_pp} percentage points: {table.margin_reason}",
    }
    if made and not frozen_lines(table.id, options.level):
        header["frozen"] = "none: no records of ours to hold these numbers against"
    report = render.Report(table, header, rows, () if options.partial else sections(table))
    if options.json:
        print(render.as_json(report))
    else:
        render.to_terminal(report)
    unfinished = options.slurm is not None and any(None in found for found in records.values())
    if not (options.partial or unfinished):
        folder = options.out / table.paper
        require_writable((folder / table.name).parent)
        paths = report_files.write(report, folder, table.file("exact" if exact else options.level))
        if not options.json:
            print(f"written: {', '.join(str(path) for path in paths)}")
    elif not options.json:
        what = "a part of the table" if options.partial else "runs are missing"
        print(f"{what}: no files written (the whole table writes them)")
    for (label, sparsity), why in failed.items():
        print(f"resparse: {label} at sparsity {sparsity} failed: {why}", file=sys.stderr)
    verdicts: list[Verdict] = []
    for row in rows:
        for cell in row.cells.values():
            verdicts += [cell.verdict, *([cell.frozen_verdict] if cell.frozen_verdict else [])]
    return worst([exit_code(verdicts, strict=options.strict), 2 if failed else 0])
