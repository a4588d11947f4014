"""Golden numbers: losses and masks of the first steps of every method, held for equality.

They lie in baselines/frozen/golden.json, by torch version, workload and method. A change that must
not move numbers leaves them equal; one that means to writes them anew, from a clean commit.
"""

import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch

from resparse import data, forking, precision, registry
from resparse.artifact import ROOT
from resparse.beginning import parent_of, start
from resparse.configure import make_run
from resparse.distributions import layer_counts
from resparse.errors import Missing, RunFailed, worst
from resparse.files import read_json, write_json
from resparse.frozen.freeze import clean_commit
from resparse.how import How
from resparse.provenance import provenance
from resparse.record import Recipe, Run, RunStore
from resparse.trainer import train_steps
from resparse.worker import code_of, train_and_commit
from resparse.workloads import workload

Trace = list[str]  # "start mask 0f1e...", then a line a step: "9 loss 0x1.2p+1 mask 3d2c..."
Traces = dict[str, dict[str, Trace]]  # by workload and method

FILE = "baselines/frozen/golden.json"
WRITE = "nox -s regression -- --golden --write"
WORKLOADS = ("digits_resnet8", "digits_mlp")
STEPS = 50
TOTAL = 64  # of the schedule: T_end of RigL, SNFS, GMP (0.78125) is step 50, where an update is due
INTERVAL = 10
REWIND = 6
PARENTS = {"ltr": ("gmp", REWIND)}  # parent and rewind step; other tickets: a dense run, step 0


def golden_run(name: str, method: str) -> Run:
    """The run of a method on a workload: seed 0, density 0.2 by ERK, masks moved every 10 steps."""
    problem = workload(name)
    recipe = problem.recipe.changed({"steps": TOTAL}).resolve(problem.train_size, 1.0)
    above, rewind = PARENTS.get(method, ("dense", 0))
    needs_parent = registry.load(method).needs_parent
    parent = _run(name, above, recipe, snapshots=(rewind,) * (rewind > 0)) if needs_parent else None
    return _run(name, method, recipe, parent=parent, start_step=rewind if needs_parent else 0)


def _run(
    name: str,
    method: str,
    recipe: Recipe,
    parent: Run | None = None,
    start_step: int = 0,
    snapshots: Sequence[int] = (),
) -> Run:
    problem = workload(name)
    moves = "interval" in registry.own_fields(registry.load(method))
    return make_run(
        problem,
        method,
        {"interval": INTERVAL} if moves else {},
        distribution="dense" if method == "dense" else "erk",
        density=0.2,
        recipe=recipe,
        seed=0,
        dataset_sha256=data.load(problem.dataset, None).sha256,
        parent=parent,
        start_step=start_step,
        snapshots=snapshots,
    )


def trace(name: str, method: str, store: RunStore, steps: int = STEPS) -> Trace:
    """The masks before the first step, each step's loss, the masks after each update, to the bit.

    Needs a process in portable numerics; a parent is trained into ``store``.
    """
    run = golden_run(name, method)
    precision.enter(run.precision)
    if run.parent is not None:
        code = code_of(run.parent)
        train_and_commit(run.parent, store, data_root=None, how=How(), provenance={}, code=code)
    counts = layer_counts(run.distribution, workload(name).shapes, run.density)
    images = data.load(run.dataset, None)
    t = start(run, images, counts, parent_of(run, store), How())
    lines = [f"start mask {t.masks.digest()[:16]}"]
    for step in train_steps(t, run.start_step + steps):
        line = f"{step} loss {t.watch.take().hex()}"
        updated = t.method.updates_at(step)
        lines.append(f"{line} mask {t.masks.digest()[:16]}" if updated else line)
    return lines


def _trace_in(task: tuple[str, str, str]) -> Trace | str:
    """The trace, or why there is none; a task is workload, method and the store's folder."""
    name, method, root = task
    try:
        return trace(name, method, RunStore(Path(root)))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def traces(workers: int, methods: Sequence[str]) -> tuple[Traces, dict[tuple[str, str], str]]:
    """Each method on every workload, and why any of them failed."""
    context = forking.context("portable")
    found: Traces = {name: {} for name in WORKLOADS}
    failed = {}
    with (
        tempfile.TemporaryDirectory() as root,
        ProcessPoolExecutor(workers, mp_context=context) as pool,
    ):
        tasks = [(name, method, root) for name in WORKLOADS for method in methods]
        for (name, method, _), made in zip(tasks, pool.map(_trace_in, tasks), strict=True):
            if isinstance(made, str):
                failed[name, method] = made
            else:
                found[name][method] = made
    return found, failed


def stored(version: str) -> Traces:
    """The golden numbers of a torch version; raises Missing where there are none."""
    path = ROOT / FILE
    found: dict[str, Traces] = read_json(path) if path.is_file() else {}
    if version not in found:
        there = ", ".join(found) or "none"
        raise Missing(
            f"{FILE} holds no numbers of torch {version} (it holds: {there}), nothing was "
            f"compared; with that torch: {WRITE}"
        )
    return found[version]


def compared(ours: Mapping[str, Trace], golden: Mapping[str, Trace]) -> dict[str, str]:
    """Method -> "equal", or in words the first step that is not, or that there is no golden.

    >>> compared({"a": ["0 loss 0x1p+1"], "b": ["0 loss 0x1p+1"]}, {"a": ["0 loss 0x1p+2"]})
    {'a': 'differs: 0 loss 0x1p+1, golden 0 loss 0x1p+2', 'b': 'no golden for method b'}
    """
    names = dict.fromkeys([*ours, *golden])
    return {method: _held(method, ours.get(method), golden.get(method)) for method in names}


def _held(method: str, ours: Trace | None, golden: Trace | None) -> str:
    if golden is None:
        return f"no golden for method {method}"
    if ours is None:
        return f"golden for method {method}, which is not in methods/"
    for one, other in zip(ours, golden, strict=False):
        if one != other:
            return f"differs: {one}, golden {other}"
    return "equal" if len(ours) == len(golden) else f"{len(ours)} lines, golden {len(golden)}"


def compare(workers: int) -> tuple[dict[str, dict[str, str]], int]:
    """Workload -> method -> how it compares, and the exit code: 1 not equal, 2 a method failed."""
    golden = stored(str(torch.__version__))
    ours, failed = traces(workers, registry.names())
    found = {name: compared(ours[name], golden.get(name, {})) for name in ours}
    for (name, method), why in failed.items():
        found[name][method] = f"failed: {why}"
    unequal = any(text != "equal" for texts in found.values() for text in texts.values())
    return found, worst([2 if failed else 0, 1 if unequal else 0])


def write(workers: int) -> int:
    """Make the numbers of this torch anew, from a clean commit; those of other versions stay.

    Returns how many traces were written. Raises RunFailed where a method failed.
    """
    commit = clean_commit()
    made, failed = traces(workers, registry.names())
    if failed:
        (name, method), why = next(iter(failed.items()))
        raise RunFailed(f"method {method} on {name} failed, nothing is written: {why}")
    if clean_commit() != commit:
        raise RunFailed(f"another commit was checked out meanwhile; nothing is written of {commit}")
    path, version = ROOT / FILE, str(torch.__version__)
    facts = provenance() | {"command": WRITE, "cpu_capability": "DEFAULT", "threads": 1}
    for target, value in ((path, made), (path.with_suffix(".provenance.json"), facts)):
        target.parent.mkdir(parents=True, exist_ok=True)
        old = read_json(target) if target.is_file() else {}
        write_json(target, old | {version: value})
    return sum(map(len, made.values()))
