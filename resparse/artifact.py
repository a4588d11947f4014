"""A table or figure as data: TOML -> rows -> Runs, everything resolved and checked beforehand."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resparse import registry
from resparse.distributions import DISTRIBUTIONS
from resparse.errors import Missing, UsageError
from resparse.published import Published, read_published
from resparse.record import Recipe, Run
from resparse.workloads import workload

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a table, as its TOML says it."""

    label: str
    method: str
    distribution: str
    fields: dict[str, Any] = field(default_factory=dict)
    length: float = 1.0
    snapshots: tuple[float, ...] = ()
    parent: dict[str, Any] | None = None
    levels: dict[str, dict[str, Any]] = field(default_factory=dict)

    def fields_at(self, level: str | None) -> dict[str, Any]:
        """Method fields, those of the level over the row's own."""
        return self.fields | (self.levels.get(level, {}).get("fields", {}) if level else {})


@dataclass(frozen=True, kw_only=True)
class Level:
    """How much of the paper a level trains."""

    workload: str
    seeds: tuple[int, ...]
    shows: str
    frozen_seeds: int = 0


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A table: rows, levels, published cells, margins."""

    paper: str
    name: str
    title: str
    sparsities: tuple[float, ...]
    margin_pp: float
    margin_reason: str
    exact_workload: str
    rows: tuple[Row, ...]
    levels: dict[str, Level]
    cells: dict[tuple[str, float, str], Published]
    errata: dict[str, str]

    @property
    def id(self) -> str:
        """Like itop/table2."""
        return f"{self.paper}/{self.name}"

    def row(self, label: str) -> Row:
        """The row; an unknown label lists the valid ones."""
        for row in self.rows:
            if row.label == label:
                return row
        valid = ", ".join(row.label for row in self.rows)
        raise UsageError(f"{self.id} has no row {label!r}; valid: {valid}")

    def level(self, name: str) -> Level:
        """The level; an unknown name lists the valid ones."""
        if name not in self.levels:
            raise UsageError(
                f"unknown level {name!r} of {self.id}; valid: {', '.join(self.levels)}"
            )
        return self.levels[name]


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A run and the cell it counts for."""

    label: str
    sparsity: float
    run: Run


def names() -> list[str]:
    """All artifacts of this checkout."""
    return sorted(str(p.relative_to(ROOT / "benchmarks"))[:-5] for p in _folder().glob("*/*.toml"))


def _folder() -> Path:
    folder = ROOT / "benchmarks"
    if not folder.is_dir():
        raise Missing(f"no folder {folder}: tables and figures are reproduced from a checkout")
    return folder


def _strict(table: dict[str, Any], valid: Sequence[str], where: str) -> None:
    for key in table:
        if key not in valid:
            raise UsageError(f"{where}: unknown key {key!r}; valid: {', '.join(valid)}")


def check_sparsity(value: float, where: str) -> float:
    """A sparsity as a share of weights left out, in (0, 1); anything else is refused."""
    if not isinstance(value, int | float) or not 0.0 < value < 1.0:
        raise UsageError(f"{where}: sparsity {value!r}; valid: above 0, below 1 (0.9 for 90 %)")
    return float(value)


def load(name: str) -> Artifact:
    """Read benchmarks/<name>.toml; raises UsageError naming file and key for anything unknown."""
    if name not in names():
        raise UsageError(f"unknown table or figure {name!r}; valid: {', '.join(names())}")
    path = _folder() / f"{name}.toml"
    return parse(path.read_text(), str(path.relative_to(ROOT)))


def parse(text: str, where: str) -> Artifact:
    """The artifact described by ``text``, every name in it resolved."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where}: {error}") from error
    _strict(data, ("artifact", "exact", "levels", "row"), where)
    head = data["artifact"]
    keys = ("paper", "name", "title", "published", "sparsities", "margin_pp", "margin_reason")
    _strict(head, keys, f"{where} [artifact]")
    lacking = [key for key in keys if key not in head]
    if lacking:
        raise UsageError(f"{where} [artifact]: {lacking[0]} is missing")
    if not head["margin_pp"] > 0:
        raise UsageError(f"{where}: margin_pp = {head['margin_pp']!r}; valid: above 0")
    _strict(data["exact"], ("workload",), f"{where} [exact]")
    levels = {}
    for level, table in data["levels"].items():
        _strict(table, ("workload", "seeds", "shows", "frozen_seeds"), f"{where} [levels.{level}]")
        workload(table["workload"])
        seeds = check_seeds(table["seeds"], f"{where} [levels.{level}]")
        levels[level] = Level(**(table | {"seeds": seeds}))
    rows = tuple(_row(table, tuple(levels), where) for table in data["row"])
    published = ROOT / "baselines" / "published" / head["published"]
    artifact = Artifact(
        paper=head["paper"],
        name=head["name"],
        title=head["title"],
        sparsities=tuple(check_sparsity(s, where) for s in head["sparsities"]),
        margin_pp=head["margin_pp"],
        margin_reason=head["margin_reason"],
        exact_workload=data["exact"]["workload"],
        rows=rows,
        levels=levels,
        cells=read_published(published.read_text(), str(published.relative_to(ROOT))),
        errata=tomllib.loads((published.parent / "SOURCE.toml").read_text())["errata"],
    )
    for row in rows:
        if row.parent:
            parent = artifact.row(row.parent["row"])
            if row.parent["at"] not in parent.snapshots:
                raise UsageError(
                    f"{where}, row {row.label}: parent {parent.label} keeps no snapshot at "
                    f"{row.parent['at']}; valid: {', '.join(map(str, parent.snapshots)) or 'none'}"
                )
    return artifact


def check_seeds(seeds: Sequence[int], where: str) -> tuple[int, ...]:
    """Distinct non-negative integers; a duplicate is refused by value."""
    for seed in seeds:
        if not isinstance(seed, int) or seed < 0:
            raise UsageError(f"{where}: seed {seed!r}; valid: whole numbers from 0")
        if list(seeds).count(seed) > 1:
            raise UsageError(f"{where}: seed {seed} is given twice; valid: distinct seeds")
    if not seeds:
        raise UsageError(f"{where}: no seed; valid: at least one")
    return tuple(seeds)


def _row(table: dict[str, Any], levels: tuple[str, ...], where: str) -> Row:
    where = f"{where}, row {table.get('label', '?')}"
    plain = ("label", "method", "distribution", "fields", "length", "snapshots", "parent")
    _strict(table, (*plain, *levels), where)
    for key in ("label", "method", "distribution"):
        if key not in table:
            raise UsageError(f"{where}: {key} is missing")
    if table["distribution"] not in DISTRIBUTIONS:
        raise UsageError(
            f"{where}: distribution {table['distribution']!r}; valid: {', '.join(DISTRIBUTIONS)}"
        )
    _strict(table.get("parent", {}), ("row", "at"), f"{where}, parent")
    for level in levels:
        _strict(table.get(level, {}), ("recipe", "fields"), f"{where}, {level}")
    own = {k: table[k] for k in plain if k in table}
    own["snapshots"] = tuple(own.get("snapshots", ()))
    row = Row(**own, levels={k: table[k] for k in levels if k in table})
    for at in (None, *levels):
        registry.resolve_fields(row.method, row.fields_at(at))
    return row


def recipe_of(artifact: Artifact, row: Row, level: str) -> Recipe:
    """The row's recipe at a level, in steps."""
    problem = workload(artifact.level(level).workload)
    where = f"{artifact.id}, row {row.label}, level {level}"
    spec = problem.recipe.changed(row.levels.get(level, {}).get("recipe", {}), where)
    return spec.resolve(problem.train_size, row.length, where)


def plan_row(
    artifact: Artifact, row: Row, level: str, sparsity: float, seed: int, dataset_sha256: str
) -> Run:
    """The run of one row, sparsity and seed, its parent included."""
    problem = workload(artifact.level(level).workload)
    recipe = recipe_of(artifact, row, level)
    parent, start = None, 0
    if row.parent is not None:
        parent_row = artifact.row(row.parent["row"])
        parent = plan_row(artifact, parent_row, level, sparsity, seed, dataset_sha256)
        start = round(row.parent["at"] * recipe.steps)
    fields = registry.resolve_fields(row.method, row.fields_at(level))
    registry.require_update(row.method, fields, recipe.steps)
    return Run(
        model=problem.model,
        dataset=problem.dataset,
        dataset_sha256=dataset_sha256,
        method=row.method,
        fields=fields,
        distribution=row.distribution,
        density=1.0 if row.distribution == "dense" else round(1.0 - sparsity, 9),
        recipe=recipe,
        seed=seed,
        precision=problem.precision,
        parent=parent,
        start_step=start,
        snapshots=tuple(round(share * recipe.steps) for share in row.snapshots),
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
        artifact.row(label)
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
        if not only or row.label in only
        for seed in seeds
    ]
