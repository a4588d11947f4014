"""A table or figure as data: TOML -> rows -> Runs, everything resolved and checked beforehand."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resparse import registry
from resparse.configure import make_run
from resparse.distributions import DISTRIBUTIONS, layer_counts
from resparse.errors import Missing, UsageError
from resparse.method import Method
from resparse.published import Cells, check_cells, read_published
from resparse.reading import distinct, located, read, read_text, toml
from resparse.record import Recipe, Run
from resparse.row import check_row
from resparse.sweep import expand
from resparse.table import Artifact, File, Level, Row, RowAtLevel, Source, read_with_levels
from resparse.workloads import workload

__all__ = [
    "PROTOCOL", "ROOT", "Artifact", "Level", "Planned", "Row", "check_seeds", "check_sparsity",
    "load", "names", "of_paper", "panels", "parse", "plan", "plan_row", "recipe_of",
]  # fmt: skip

ROOT = Path(__file__).resolve().parent.parent
PROTOCOL = "paper"  # the level whose recipes the exact columns are computed by
# of each text whose runs were planned without fault: row -> whether its R_s is computed
_explored: dict[tuple[str, str], dict[str, bool]] = {}
_exact: dict[tuple[type[Method], str, int], bool] = {}  # by method, fields, steps


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A run and the cell it counts for."""

    label: str
    sparsity: float
    run: Run


def names() -> list[str]:
    """All tables and figures of this checkout."""
    return _names("*/*.toml")


def of_paper(paper: str) -> list[str]:
    """A paper's tables and figures in its order: tables, then the others, by number."""
    return sorted((name for name in names() if name.startswith(f"{paper}/")), key=_order)


def _order(name: str) -> tuple[bool, str, int]:
    words = name.rpartition("/")[2].rstrip("0123456789")
    return not words.endswith("table"), words, int(name.rpartition(words)[2] or 0)


def panels() -> list[str]:
    """All panels of figures, like itop/panels/figure3_mlp: each is reproduced like a table."""
    return _names("*/panels/*.toml")


def _names(pattern: str) -> list[str]:
    files = (path.relative_to(ROOT / "benchmarks") for path in _folder().glob(pattern))
    return sorted(str(file)[:-5] for file in files if file.parts[0] != "compare")


def _folder() -> Path:
    folder = ROOT / "benchmarks"
    if not folder.is_dir():
        raise Missing(f"no folder {folder}: tables and figures are reproduced from a checkout")
    return folder


def load(name: str) -> Artifact:
    """Read benchmarks/<name>.toml; raises UsageError naming file and key for anything invalid."""
    if name not in (*names(), *panels()):
        raise UsageError(f"unknown table or figure {name!r}; valid: {', '.join(names())}")
    where = f"benchmarks/{name}.toml"
    text = read_text(ROOT / where, where)
    if drawn := toml(text, where).get("figure"):
        valid = ", ".join(f"{Path(name).parent}/panels/{panel}" for panel in drawn["panels"])
        raise UsageError(f"{name} is a figure, drawn of tables; valid here: {valid}")
    artifact = parse(text, where)
    if artifact.id != name:
        raise UsageError(f"{where}: artifact paper and name = {artifact.id!r}; valid: {name!r}")
    return artifact


def parse(text: str, where: str) -> Artifact:
    """The artifact described by ``text``, every name in it resolved and every run planned once."""
    data = read(File, toml(text, where), where)
    head, levels = data.artifact, data.levels
    for name, level in levels.items():
        check_seeds(level.seeds, f"{where}: levels.{name}.seeds")
        with located(f"{where}: levels.{name}"):
            workload(level.workload)
    if PROTOCOL not in levels:
        raise UsageError(f"{where}: levels.{PROTOCOL} is missing; the exact columns follow it")
    with located(f"{where}: exact"):
        workload(data.exact.workload)
    distinct(head.sparsities, "sparsity", f"{where}: artifact.sparsities")
    tables = list(data.row)
    for n, table in enumerate(data.sweep, start=1):
        tables += expand(table, n, tuple(levels), where)
    rows = tuple(_row(table, n, tuple(levels), where) for n, table in enumerate(tables, start=1))
    distinct([row.label for row in rows], "row", where)
    csv = f"baselines/published/{head.published or f'{head.paper}/'}"
    source = f"{csv.rpartition('/')[0]}/SOURCE.toml"
    with located(f"{where}: artifact.published = {head.published!r}"):
        about = read_text(ROOT / source, source)
        printed = None if head.published is None else read_text(ROOT / csv, csv)
    cells = Cells() if printed is None else read_published(printed, csv)
    artifact = Artifact(
        paper=head.paper,
        name=head.name,
        title=head.title,
        sparsities=head.sparsities,
        margin_pp=head.margin_pp,
        margin_reason=head.margin_reason,
        exact_workload=data.exact.workload,
        rows=rows,
        levels=levels,
        cells=cells,
        errata=read(Source, toml(about, source), source).errata,
        of_all=head.errata,
        readings=data.reading,
        accuracy=head.accuracy,
        measured=head.measured,
    )
    for erratum in head.errata:
        if erratum not in artifact.errata:
            valid = ", ".join(artifact.errata)
            raise UsageError(f"{where}: artifact.errata has {erratum!r}; valid: {valid}")
    for row in rows:
        with located(f"{where}, row {row.label}"):
            check_row(artifact, row)
    if (text, where) not in _explored:
        _try_runs(artifact, where)
        _explored[text, where] = {row.label: _rs_is_computed(artifact, row) for row in rows}
    rows_of = _explored[text, where]
    check_cells(
        artifact.cells, csv, rows=rows_of, sparsities=head.sparsities, errata=artifact.errata
    )
    return artifact


def _row(table: dict[str, Any], number: int, levels: tuple[str, ...], where: str) -> Row:
    where = f"{where}, row {table.get('label', f'number {number}')}"
    row = read_with_levels(Row, RowAtLevel, table, levels, where)
    if row.distribution not in DISTRIBUTIONS:
        raise UsageError(
            f"{where}: distribution = {row.distribution!r}; valid: {', '.join(DISTRIBUTIONS)}"
        )
    return row


def _try_runs(artifact: Artifact, where: str) -> None:
    """Resolve one run of every row, level and sparsity, and its weights per layer."""
    networks = [(name, name, level.workload) for name, level in artifact.levels.items()]
    for name, level, problem in (*networks, ("exact", PROTOCOL, artifact.exact_workload)):
        shapes = workload(problem).shapes
        for row in artifact.rows:
            if row.at(name).left_out:
                continue
            at = f"{where}, row {row.label}, {name}"
            for sparsity in filter(row.has, artifact.sparsities):
                with located(at):
                    run = plan_row(artifact, row, level, sparsity, 0, "unread")
                try:
                    layer_counts(run.distribution, shapes, run.density)
                except ValueError as error:
                    why = f"sparsity {sparsity}: {error}; valid: a lower sparsity"
                    raise UsageError(f"{at}: {why}") from error


def _rs_is_computed(artifact: Artifact, row: Row) -> bool:
    """Whether R_s of the row is known without training it."""
    run = plan_row(artifact, row, PROTOCOL, artifact.sparsities[0], 0, "unread")
    schedule = registry.load(run.method), repr(run.fields), run.recipe.steps
    if schedule not in _exact:
        probe = registry.probe(run.method, run.fields, run.recipe.steps)
        stays = type(probe).updates_at is Method.updates_at  # masks do, so no step need be asked
        _exact[schedule] = stays or registry.rs_is_exact(probe)
    return _exact[schedule]


def check_sparsity(value: float, where: str) -> float:
    """A sparsity as a share of weights left out, in (0, 1); anything else is refused."""
    if not isinstance(value, int | float) or not 0.0 < value < 1.0:
        raise UsageError(f"{where}: sparsity {value!r}; valid: above 0, below 1 (0.9 for 90 %)")
    return float(value)


def check_seeds(seeds: Sequence[int], where: str) -> tuple[int, ...]:
    """Distinct non-negative integers; a duplicate is refused by value."""
    for seed in seeds:
        if not isinstance(seed, int) or seed < 0:
            raise UsageError(f"{where}: seed {seed!r}; valid: whole numbers from 0")
    distinct(seeds, "seed", where)
    if not seeds:
        raise UsageError(f"{where}: no seed; valid: at least one")
    return tuple(seeds)


def recipe_of(artifact: Artifact, row: Row, level: str) -> Recipe:
    """The row's recipe at a level, in steps."""
    at = artifact.level(level)
    problem = workload(at.workload)
    recipe = problem.recipe.changed({**at.recipe, **row.at(level).recipe})
    return recipe.resolve(problem.train_size, row.length_at(level))


def plan_row(
    artifact: Artifact, row: Row, level: str, sparsity: float, seed: int, dataset_sha256: str
) -> Run:
    """The run of one row, sparsity and seed, its parent included."""
    problem = workload(artifact.level(level).workload)
    recipe = recipe_of(artifact, row, level)
    snapshots = tuple(round(share * recipe.steps) for share in row.snapshots)
    if 0 in snapshots:
        raise UsageError(
            f"snapshots = {list(row.snapshots)} fall on step 0 of {recipe.steps}; valid: step 1 on"
        )
    parent, start = None, 0
    if row.parent is not None:
        above = artifact.row(row.parent.row)
        parent = plan_row(artifact, above, level, sparsity, seed, dataset_sha256)
        start = round(row.parent.at * recipe.steps)
        rewound = row.parent.at > 0.0  # at 0 the seed draws the weights again
        if rewound and (start not in parent.snapshots or not 0 < start < recipe.steps):
            kept = f"{', '.join(map(str, parent.snapshots))} of {parent.recipe.steps}"
            raise UsageError(
                f"parent = {above.label!r} keeps its weights at step {kept}, this row would start "
                f"at step {start} of {recipe.steps}; valid: the same step"
            )
    return make_run(
        problem,
        row.method,
        row.fields_at(level),
        distribution=row.distribution,
        density=1.0 - sparsity,
        recipe=recipe,
        seed=seed,
        dataset_sha256=dataset_sha256,
        parent=parent,
        start_step=start,
        snapshots=snapshots,
        test_every_epoch=artifact.test_every_epoch,
        engine=artifact.level(level).engine,
    )


def plan(
    artifact: Artifact,
    level: str,
    dataset_sha256: str,
    *,
    seeds: Sequence[int],
    only: Sequence[str] = (),
    sparsities: Sequence[float] = (),
) -> list[Planned]:
    """Every run of the table, in table order; dense runs appear under each sparsity."""
    for label in only:
        if artifact.row(label).at(level).left_out:
            valid = ", ".join(r.label for r in artifact.rows if not r.at(level).left_out)
            raise UsageError(f"row {label} is left out at level {level}; valid there: {valid}")
    distinct(only, "row", "--only")
    distinct(sparsities, "sparsity", "--sparsity")
    for sparsity in sparsities:
        if sparsity not in artifact.sparsities:
            valid = ", ".join(map(str, artifact.sparsities))
            raise UsageError(f"{artifact.id} has no sparsity {sparsity}; valid: {valid}")
    return [
        Planned(
            label=row.label,
            sparsity=sparsity,
            run=plan_row(artifact, row, level, sparsity, seed, dataset_sha256),
        )
        for sparsity in (sparsities or artifact.sparsities)
        for row in artifact.rows
        if (not only or row.label in only) and row.has(sparsity) and not row.at(level).left_out
        for seed in seeds
    ]
