"""One training's resolved configuration, from a method, a workload, and what a caller changes."""

from collections.abc import Sequence
from typing import Any

from resparse import registry
from resparse.distributions import layer_counts
from resparse.errors import UsageError
from resparse.method import Method
from resparse.outside import prints_aside
from resparse.record import Recipe, Run
from resparse.workloads import Workload

# of each method, fields and steps that were asked: masks move, or the method never moves them
_updating: set[tuple[type[Method], str, int]] = set()


def check_trainable(
    problem: Workload, method: str, distribution: str, density: float, parent: str = "dense"
) -> None:
    """Raise UsageError where no training of the method on the workload could start."""
    if method == "ltr" and parent == "dense":
        raise UsageError(
            "method ltr trains the mask of a parent that was pruned, and a dense one has none; "
            "valid: a parent that prunes, as in resparse run ltr --parent gmp --rewind 0.0625"
        )
    if distribution == "dense" and method != "dense":
        raise UsageError(f"method {method}, distribution dense; valid: uniform, er, erk")
    try:
        layer_counts(distribution, problem.shapes, density)
    except ValueError as error:
        raise UsageError(str(error)) from error


def make_run(
    problem: Workload,
    method: str,
    fields: dict[str, Any],
    *,
    distribution: str,
    density: float,
    recipe: Recipe,
    seed: int,
    dataset_sha256: str,
    method_sha256: str = "",
    parent: Run | None = None,
    start_step: int = 0,
    snapshots: Sequence[int] = (),
    test_every_epoch: bool = False,
    engine: str = "masked",
) -> Run:
    """The run; raises UsageError for fields the method refuses and schedules that move no mask."""
    with prints_aside():
        resolved = registry.resolve_fields(method, fields)
        schedule = registry.load(method), repr(resolved), recipe.steps
        if schedule not in _updating:  # a table has the same in many runs
            registry.require_update(method, resolved, recipe.steps)
            _updating.add(schedule)
    return Run(
        model=problem.model,
        dataset=problem.dataset,
        dataset_sha256=dataset_sha256,
        method=method,
        fields=resolved,
        distribution=distribution,
        density=1.0 if distribution == "dense" else round(density, 9),
        recipe=recipe,
        seed=seed,
        precision=problem.precision,
        engine=engine,
        parent=parent,
        start_step=start_step,
        snapshots=tuple(snapshots),
        method_sha256=method_sha256,
        workload_sha256=problem.sha256,
        test_every_epoch=test_every_epoch,
    )
