"""The panel that methods are compared on: its TOML, and the runs of every entrant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from resparse import registry, resolve
from resparse.artifact import ROOT, check_seeds, check_sparsity
from resparse.configure import make_run
from resparse.errors import UsageError
from resparse.reading import (
    Positive,
    Share,
    Some,
    Table,
    Text,
    distinct,
    located,
    read,
    read_text,
    toml,
)
from resparse.record import Run
from resparse.workloads import Workload, workload

PANEL = "compare/panel"
WHERE = f"benchmarks/{PANEL}.toml"
PORTABLE = "smoke"  # the level whose numbers are the same, to the last bit, on every machine


class Entrant(Table):
    """A method on the panel: a baseline, or the one that is compared."""

    label: Text
    method: str
    distribution: str
    fields: dict[str, Any] = Field(default_factory=dict)
    lengths: Some[Positive] = (1.0,)
    method_sha256: str = ""


class PanelLevel(Table):
    """What a level trains, and the field values it gives every method that has such a field.

    ``recipe`` changes its workloads' own; a workload of the user's is trained as it says itself.
    """

    workloads: Some[Text]
    seeds: Some[int]
    fields: dict[str, Any] = Field(default_factory=dict)
    recipe: dict[str, Any] = Field(default_factory=dict)
    engine: Literal["masked", "auto"] = "masked"
    shows: Text


class Head(Table):
    """The table [panel]."""

    title: Text
    sparsities: Some[Share]
    distribution: Text
    margin_pp: Positive
    margin_reason: Text


class Panel(Table):
    """The whole file."""

    panel: Head
    levels: dict[str, PanelLevel]
    baseline: Some[Entrant]

    def level(self, name: str) -> PanelLevel:
        """The level; an unknown name lists the valid ones."""
        if name not in self.levels:
            valid = ", ".join(self.levels)
            raise UsageError(f"unknown level {name!r} of the panel; valid: {valid}")
        return self.levels[name]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One run of the panel, and what it counts for."""

    label: str
    workload: str
    sparsity: float
    length: float
    run: Run


def load() -> Panel:
    """Read and check the panel; raises UsageError naming file and key for anything invalid."""
    panel = read(Panel, toml(read_text(ROOT / WHERE, WHERE), WHERE), WHERE)
    distinct([baseline.label for baseline in panel.baseline], "baseline", WHERE)
    for sparsity in panel.panel.sparsities:
        check_sparsity(sparsity, f"{WHERE}: panel.sparsities")
    for name, level in panel.levels.items():
        check_seeds(level.seeds, f"{WHERE}: levels.{name}.seeds")
        with located(f"{WHERE}: levels.{name}.workloads"):
            problems(level.workloads)
        with located(f"{WHERE}: levels.{name}.recipe"):
            problems(level.workloads, level.recipe)
    for baseline in panel.baseline:
        with located(f"{WHERE}, baseline {baseline.label}"):
            if 1 not in baseline.lengths:
                raise UsageError(f"lengths = {list(baseline.lengths)}; valid: 1 among them")
            registry.resolve_fields(baseline.method, baseline.fields)
    return panel


def problems(names: Sequence[str], recipe: dict[str, Any] | None = None) -> dict[str, Workload]:
    """The workloads of a level by name, their recipes changed by the level's.

    Raises UsageError for an unknown name, or a key that no recipe has.
    """
    known = {name: workload(name) for name in names}
    return {n: replace(w, recipe=w.recipe.changed(recipe or {})) for n, w in known.items()}


def images(problems: Mapping[str, Workload], root: Path | None) -> dict[str, str]:
    """Hash of each workload's dataset, which must be here."""
    return {name: resolve.images(problem, root).sha256 for name, problem in problems.items()}


def entries(
    entrant: Entrant,
    level: PanelLevel,
    problems: Mapping[str, Workload],
    hashes: Mapping[str, str],
    *,
    sparsities: Sequence[float],
    seeds: Sequence[int],
    lengths: Sequence[float] | None = None,
) -> list[Entry]:
    """The entrant's runs in panel order; a dense one has the same run at every sparsity."""
    made = []
    for name, problem in problems.items():
        for sparsity in sparsities:
            for length in entrant.lengths if lengths is None else lengths:
                for seed in seeds:
                    run = _run(entrant, level, problem, hashes[name], sparsity, length, seed)
                    made.append(
                        Entry(
                            label=entrant.label,
                            workload=name,
                            sparsity=sparsity,
                            length=length,
                            run=run,
                        )
                    )
    return made


def baseline_entries(found: Panel, level: str, root: Path | None = None) -> list[Entry]:
    """The runs of every baseline at a level, all lengths and seeds; its data must be here."""
    asked = found.level(level)
    known = problems(asked.workloads, asked.recipe)
    hashes = images(known, root)
    shared: dict[str, Any] = {"sparsities": found.panel.sparsities, "seeds": asked.seeds}
    return [
        entry
        for baseline in found.baseline
        for entry in entries(baseline, asked, known, hashes, **shared)
    ]


def _run(
    entrant: Entrant,
    level: PanelLevel,
    problem: Workload,
    dataset_sha256: str,
    sparsity: float,
    length: float,
    seed: int,
) -> Run:
    own = registry.own_fields(registry.load(entrant.method))
    given = {k: v for k, v in level.fields.items() if k in own} | entrant.fields
    recipe = problem.recipe.resolve(problem.train_size, length)
    common: dict[str, Any] = {
        "recipe": recipe,
        "seed": seed,
        "dataset_sha256": dataset_sha256,
        "engine": level.engine,
    }
    parent = None
    if registry.load(entrant.method).needs_parent:  # a dense run of the same seed, from its start
        parent = make_run(problem, "dense", {}, distribution="dense", density=1.0, **common)
    return make_run(
        problem,
        entrant.method,
        given,
        distribution=entrant.distribution,
        density=1.0 - sparsity,
        method_sha256=entrant.method_sha256,
        parent=parent,
        **common,
    )
