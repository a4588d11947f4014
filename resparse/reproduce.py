"""The command `reproduce`: plan, check, train what is missing, and report a table."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch

from resparse import artifact as artifacts
from resparse import data, kept, plan
from resparse.artifact import Artifact, Planned
from resparse.asked import Options
from resparse.disk import require_room
from resparse.errors import Missing, UsageError, worst
from resparse.files import require_writable
from resparse.how import How
from resparse.progress import Progress
from resparse.record import Record, Run, RunStore
from resparse.rehearse import rehearse
from resparse.runner import pending, run_all, with_parents
from resparse.slots import at_once
from resparse.tables import files as report_files
from resparse.tables import render
from resparse.tables import report as table_report
from resparse.tables.report import Found, collect
from resparse.verdict import Verdict, exit_code
from resparse.worker import code_of
from resparse.workloads import Workload, workload

ADVICE = ". See its cost with --plan, try it without data with --rehearse"


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
        return _report(table, options, seeds, Found())
    if options.rehearse:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        device = device if options.how.device == "auto" else options.how.device
        rehearse(planned, device, lambda line: print(line, flush=True))
        return 0
    batch = max(p.run.recipe.batch_size for p in planned)
    ready = None if options.from_records else require_ready(problem, options, batch, ADVICE)
    if not options.partial:
        require_writable(options.out)
    committed = kept.read(kept.file(options.out, table.paper, options.level))
    smoke = options.level == "smoke"  # which is there to be trained again
    store = Known(RunStore(options.runs), {} if smoke else committed.records)
    sha256 = data.load(problem.dataset, options.data_root).sha256
    planned = artifacts.plan(table, options.level, sha256, **choice)  # type: ignore[arg-type]
    failures = _train(planned, store, ready, options) if ready else {}
    found = collect(planned, store, failures)
    return _report(table, options, seeds, found, _with_parents(planned, store, found))


class Known:
    """What has been trained: a run store, and records of any machine that were committed."""

    def __init__(self, store: RunStore, committed: Mapping[str, Record]) -> None:
        self.store, self.committed = store, committed

    def record(self, run: Run) -> Record | None:
        """The verified record of ``run``, or None where there is none.

        One's own comes first, unless other code made it and a committed one is there.
        """
        own, committed = self.store.record(run), self.committed.get(run.key)
        if own is None or (committed is not None and own.fingerprint != code_of(run)):
            return committed
        return own

    def is_done(self, run: Run) -> bool:
        """Whether a committed record of today's code spares the training."""
        record = self.committed.get(run.key)
        return record is not None and record.fingerprint == code_of(run)


def require_ready(problem: Workload, options: Options, batch: int, advice: str = "") -> How:
    """How to train batches of ``batch``, its device known; raises Missing with all not here.

    ``advice`` ends its sentence: what the command has for a machine that lacks something.
    """
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
            f"level {options.level} of {options.name} cannot run here: {'; '.join(lacking)}{advice}"
        )
    how.require(problem.precision, batch)
    return how


def require_all_ready(problems: Iterable[Workload], runs: Sequence[Run], options: Options) -> How:
    """How to train ``runs``, of several workloads; raises Missing at the first that lacks anything.

    Raises UsageError where some would train on a GPU and others on the CPU.
    """
    batch = max(run.recipe.batch_size for run in runs)
    ready = [require_ready(problem, options, batch) for problem in problems]
    if len(devices := dict.fromkeys(how.device for how in ready)) > 1:
        raise UsageError(
            f"{options.name} at level {options.level} trains on {' and '.join(devices)}; valid: "
            "one for all, --device cpu or cuda"
        )
    return ready[0]


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


def _train(planned: Sequence[Planned], known: Known, how: How, options: Options) -> dict[str, str]:
    runs, store = [p.run for p in planned], known.store
    own = [run for run in runs if not known.is_done(run)]
    todo = pending(own, store, rerun_stale=options.level == "smoke")
    if options.slurm is not None:
        from resparse.slurm import arrays as slurm

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


def _with_parents(planned: Sequence[Planned], store: Known, found: Found) -> list[Record]:
    """The records found, each once, and those of the runs that they started from."""
    there = {record.key: record for record in found.made}
    runs = with_parents([item.run for item in planned])
    return [r for run in runs if (r := there.get(run.key) or store.record(run)) is not None]


def _report(
    table: Artifact,
    options: Options,
    seeds: Sequence[int],
    found: Found,
    records: Sequence[Record] = (),
) -> int:
    """Print the table, write it and its records where it is whole, and return the exit code."""
    report = table_report.report(table, options, seeds, found)
    if options.json:
        print(render.as_json(report))
    else:
        render.to_terminal(report)
    unfinished = options.slurm is not None and any(None in some for some in found.records.values())
    if not (options.partial or unfinished):
        folder = options.out / table.paper
        require_writable((folder / table.name).parent)
        name = table.file("exact" if options.exact_only else options.level)
        paths = report_files.write(report, folder, name)
        if records:
            paths.append(kept.file(options.out, table.paper, options.level))
            kept.merge(paths[-1], records)
        if not options.json:
            print(f"written: {', '.join(str(path) for path in paths)}")
    elif not options.json:
        what = "a part of the table" if options.partial else "runs are missing"
        print(f"{what}: no files written (the whole table writes them)")
    for (label, sparsity), why in found.failed.items():
        print(f"resparse: {label} at sparsity {sparsity} failed: {why}", file=sys.stderr)
    verdicts: list[Verdict] = []
    for row in report.rows:
        for cell in row.cells.values():
            verdicts += [cell.verdict, *([cell.frozen_verdict] if cell.frozen_verdict else [])]
    return worst([exit_code(verdicts, strict=options.strict), 2 if found.failed else 0])
