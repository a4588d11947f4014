"""Trainings from a notebook or a script: one method on one workload, and its verified record."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from resparse import distributed, registry
from resparse.artifact import ROOT, check_seeds
from resparse.configure import check_trainable, make_run
from resparse.data.places import data_folder
from resparse.disk import require_room
from resparse.engine import require as require_engine
from resparse.errors import Missing, RunFailed, UsageError
from resparse.frame import records
from resparse.how import How
from resparse.record import Record, Run, RunStore
from resparse.resolve import images, resolve_method, resolve_workload
from resparse.runner import Notify, pending, run_all
from resparse.slots import at_once
from resparse.workloads import Workload, computed_in, holding_out, workload

__all__ = ["configured", "records", "run", "train"]


def run(
    method: str,
    *,
    workload: str = "digits_resnet8",
    density: float = 0.1,
    distribution: str = "erk",
    seed: int = 0,
    length: float = 1.0,
    fields: dict[str, Any] | None = None,
    recipe: dict[str, Any] | None = None,
    parent: str = "dense",
    parent_fields: dict[str, Any] | None = None,
    rewind: float = 0.0,
    val: str | None = None,
    test_every_epoch: bool = False,
    precision: str | None = None,
    engine: str = "masked",
    crossover: float | None = None,
    device: str = "auto",
    gpus: int = 1,
    threads: int = 1,
    accumulate: int = 1,
    channels_last: bool = False,
    compile: bool = False,
    checkpoint_minutes: float = 5.0,
    tensorboard: bool = False,
    runs: str | Path | None = None,
    data_root: str | Path | None = None,
) -> Record:
    """Train ``method`` and return its verified record; at once where the store has it.

    ``method`` and ``workload`` are names or paths of .py files (a method also what an installed
    package offers), ``fields`` the method's own, ``recipe`` what to change of the workload's, in
    its units, ``length`` a factor on its steps. ``runs`` is the run store (default: runs/ of the
    checkout), ``data_root`` the datasets' folder (default: RESPARSE_DATA). ``dense`` takes neither
    density nor distribution. A method that starts from another run (lth, ltr) gets the run of the
    method ``parent`` with ``parent_fields``, of the same seed, density and steps, and starts from
    that run's weights at ``rewind``, a share of the steps; 0 is the initialisation.

    ``val`` holds training images out to choose the best epoch on: "5k", "10%", "0" for none, else
    what the workload says. ``test_every_epoch`` also notes the best epoch on the test images
    (top1_best_test), which is no estimate of accuracy: some papers report it.

    ``precision`` is another than the workload's (see precision; "half": bf16, or fp16 on a GPU
    that has none). With the ``engine`` "sparse" a layer of a density below its ``crossover``
    (default: measured, once a machine) stores and multiplies its active weights only; "auto" does
    so where it can and pays. ``device`` to ``checkpoint_minutes`` say how it is computed (see How),
    not what; ``tensorboard`` writes event files into the run's folder while it trains.

    It trains in a process of its own: the torch settings, threads and random state of the caller
    neither count nor change, and a script needs no ``__main__`` guard. A record that other code
    made is moved to the store's stale/ and trained again. Raises UsageError for what is not valid,
    Missing for data or a GPU that is not here, RunFailed saying why a run failed.
    """
    root = Path(runs).expanduser().resolve() if runs else ROOT / "runs"
    store, folder = RunStore(root), data_folder(data_root)
    made, problem = configured(
        method,
        workload_is=workload,
        density=density,
        distribution=distribution,
        seeds=[seed],
        length=length,
        fields=fields or {},
        recipe=recipe or {},
        parent=parent,
        parent_fields=parent_fields or {},
        rewind=rewind,
        val=val,
        test_every_epoch=test_every_epoch,
        precision=precision,
        engine=engine,
        store=store,
        data_root=folder,
    )
    if gpus > 1 and device == "cpu":
        raise UsageError(f"gpus = {gpus} on the CPU; valid: 1, or another device")
    how = How(
        device="cuda" if gpus > 1 else device,
        world=gpus,
        threads=threads,
        accumulate=accumulate,
        channels_last=channels_last,
        compile=compile,
        crossover=crossover,
        checkpoint_minutes=checkpoint_minutes,
        tensorboard=tensorboard,
    )
    said = f"resparse.run({method!r}, ...)"
    return train(made, problem, store, how=how, data_root=folder, workers=1, command=said)[0]


def configured(
    method: str,
    *,
    workload_is: str,
    density: float,
    distribution: str,
    seeds: Sequence[int],
    length: float,
    fields: dict[str, Any],
    recipe: dict[str, Any],
    parent: str,
    parent_fields: dict[str, Any],
    rewind: float,
    val: str | None,
    test_every_epoch: bool,
    precision: str | None,
    engine: str = "masked",
    store: RunStore,
    data_root: Path | None,
) -> tuple[list[Run], Workload]:
    """The runs, one a seed, and what they train on; everything is checked, nothing trained."""
    name, sha256 = resolve_method(method, store.root)
    problem = holding_out(workload(resolve_workload(workload_is, store.root)), val)
    problem = computed_in(problem, precision)
    if not 0 < length < float("inf"):
        raise UsageError(f"length = {length}; valid: a number above 0, 1 is the workload's own")
    if name == "dense":
        density, distribution = 1.0, "dense"
    parent, parent_sha256 = resolve_method(parent, store.root)
    _check_parent(name, parent, parent_fields, rewind)
    check_trainable(problem, name, distribution, density, parent)
    steps = problem.recipe.changed(recipe).resolve(problem.train_size, length)
    digest = images(problem, data_root).sha256
    runs = []
    for seed in check_seeds(seeds, "seeds"):
        common: dict[str, Any] = {"recipe": steps, "seed": seed, "dataset_sha256": digest}
        sparse: dict[str, Any] = {"distribution": distribution, "density": density}
        if registry.load(name).needs_parent:
            start = round(rewind * steps.steps)
            if rewind and not start:
                raise UsageError(f"rewind = {rewind} is step 0 of {steps.steps}; valid: 0, or more")
            whole = {"distribution": "dense", "density": 1.0} if parent == "dense" else sparse
            above = make_run(
                problem,
                parent,
                parent_fields,
                method_sha256=parent_sha256,
                snapshots=(start,) * (start > 0),
                engine="masked" if parent == "dense" else engine,
                **whole,
                **common,
            )
            common |= {"parent": above, "start_step": start}
        common |= {"method_sha256": sha256, "test_every_epoch": test_every_epoch}
        common |= {"engine": engine}
        runs.append(make_run(problem, name, fields, **sparse, **common))
    return runs, problem


def _check_parent(name: str, parent: str, fields: dict[str, Any], rewind: float) -> None:
    """Raises UsageError unless the method can start from such a run."""
    if not registry.load(name).needs_parent:
        if (parent, fields, rewind) != ("dense", {}, 0.0):
            given = f"parent = {parent!r}, its fields {fields}, rewind = {rewind}"
            raise UsageError(f"{given}; valid: none, method {name} starts from scratch")
        return
    if registry.load(parent).needs_parent:
        raise UsageError(f"parent = {parent!r}; valid: a method that starts from scratch")
    if not 0.0 <= rewind < 1.0:
        raise UsageError(f"rewind = {rewind}; valid: a share of the parent's steps, 0 to below 1")


def train(
    runs: Sequence[Run],
    problem: Workload,
    store: RunStore,
    *,
    how: How,
    data_root: Path | None,
    workers: int | None,
    notify: Notify = lambda run, what: None,
    command: str = "",
) -> list[Record]:
    """The verified record of every run, those that are missing or of other code trained first.

    Raises RunFailed naming the first run that failed, once the others are done. Under torchrun
    its processes train each run together.
    """
    with distributed.joined(how.timeout_s):
        todo = distributed.agreed(lambda: pending(runs, store, rerun_stale=True))
        how = replace(how, world=distributed.world()) if distributed.together() else how
        if todo:
            batch = max(run.recipe.batch_size for run in todo)
            part = -(-batch // (how.accumulate * how.world))
            how = replace(how, device=_ready(problem, how.device, part))
            if how.on_gpu:
                distributed.require_gpus()
            how.require(problem.precision, batch)
            for run in todo:
                require_engine(run.engine, run.precision, run.density, how)
            workers = workers or at_once(how)
            require_room(todo, store, workers * how.replicates)
            where: dict[str, Any] = {"data_root": data_root, "how": how, "workers": workers}
            failed = run_all(todo, store, notify=notify, command=command, **where)
            for run in todo:
                if run.key in failed:
                    what = f"run {run.key} ({run.method}, seed {run.seed})"
                    raise RunFailed(f"{what} failed: {failed[run.key]}")
    done = [store.record(run) for run in runs]
    return [record for record in done if record is not None]


def _ready(problem: Workload, asked: str, batch: int) -> str:
    """The device to train on; raises Missing with what is not here."""
    from resparse.reproduce import gpu_lacks, memory_lacks

    device = asked if asked != "auto" else "cuda" if problem.needs_gpu else "cpu"
    if device not in ("cpu", "cuda"):
        raise UsageError(f"device {device!r}; valid: auto, cpu, cuda")
    if device == "cuda" and problem.precision == "portable":
        raise UsageError(f"device cuda: {problem.model} trains in portable numerics; valid: cpu")
    lacking = (gpu_lacks() or memory_lacks(problem, batch)) if device == "cuda" else []
    if lacking:
        raise Missing(f"{problem.model} on {problem.dataset}: {'; '.join(lacking)}")
    return device
