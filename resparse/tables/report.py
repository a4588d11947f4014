"""A table's report from records, wherever they lie: its cells, and the lines above them."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from resparse.artifact import Artifact, Planned
from resparse.asked import Options
from resparse.cell import TableRow
from resparse.frozen.lines import frozen_lines
from resparse.provenance import git
from resparse.record import Record, Run
from resparse.tables import cells, render
from resparse.tables.rs_section import sections
from resparse.worker import code_of

CODE = ("resparse", "methods", "benchmarks", "requirements", "pyproject.toml", "noxfile.py")
ENGINES = {
    "masked": "masked: simulated sparsity, no time is saved",
    "auto": "auto: weights stored where their masks are, in layers where that is quicker",
}
Place = tuple[str, float]  # of a cell: row, sparsity


class Records(Protocol):
    """A run store, or the committed records of a paper."""

    def record(self, run: Run) -> Record | None:
        """The verified record of ``run``, or None where there is none."""
        ...


@dataclass(frozen=True)
class Found:
    """Records by cell, None for a run without one; why runs failed; keys made by other code."""

    records: dict[Place, list[Record | None]] = field(default_factory=dict)
    failed: dict[Place, str] = field(default_factory=dict)
    stale: set[str] = field(default_factory=set)

    @property
    def made(self) -> list[Record]:
        """Every record, as often as a cell has it."""
        return [r for found in self.records.values() for r in found if r is not None]


def collect(planned: Sequence[Planned], store: Records, failures: Mapping[str, str]) -> Found:
    """What ``store`` has of the planned runs; ``failures`` say by key why a run has failed."""
    found = Found()
    for item in planned:
        cell = (item.label, item.sparsity)
        record = store.record(item.run)
        found.records.setdefault(cell, []).append(record)
        if record is None and item.run.key in failures:
            found.failed[cell] = f"seed {item.run.seed}: {failures[item.run.key]}"
        if record is not None and record.fingerprint != code_of(item.run):
            found.stale.add(record.key)
    return found


def report(table: Artifact, options: Options, seeds: Sequence[int], found: Found) -> render.Report:
    """The whole table, or the part that ``options`` ask for."""
    exact = options.exact_only
    level = table.level(options.level)
    shows = "FLOPs and R_s of the paper's own network, computed" if exact else level.shows
    header = {
        "command": command(table, options),
        "git sha": (git("rev-parse", "HEAD")[:12] or "unknown")
        + (" + uncommitted changes" if git("status", "--porcelain", "--", *CODE) else ""),
        "records made at": _distinct(r.made_at for r in found.made),
        "device": _distinct(r.provenance["device"] for r in found.made),
        "seeds": "none" if exact else ", ".join(map(str, seeds)),
        "level": "exact columns only" if exact else f"{options.level} ({level.workload})",
        "what it shows": shows,
        "distribution": _distributions(table, _labels(table, options)),
        "engine": ENGINES[level.engine],
        "margin": f"{table.margin_pp} percentage points: {table.margin_reason}",
    }
    if found.made and not frozen_lines(table.id, options.level):
        header["frozen"] = "none: no records of ours to hold these numbers against"
    made = () if options.partial else sections(table)
    return render.Report(table, header, rows(table, options, found), made)


def rows(table: Artifact, options: Options, found: Found) -> list[TableRow]:
    """The rows that ``options`` ask for, each cell with its verdict."""
    return cells.build(
        table,
        options.level,
        found.records,
        found.failed,
        found.stale,
        comparable=options.level == "paper",
        sparsities=options.sparsities or table.sparsities,
        labels=_labels(table, options),
        exact_only=options.exact_only,
    )


def _labels(table: Artifact, options: Options) -> list[str]:
    return [r.label for r in table.rows if not options.only or r.label in options.only]


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


def _distinct(values: Iterable[str]) -> str:
    return ", ".join(sorted(set(values))) or "none: nothing is trained"


def _distributions(table: Artifact, labels: Sequence[str]) -> str:
    rows = [row for row in table.rows if row.label in labels]
    kinds = dict.fromkeys(row.distribution for row in rows)
    if len(kinds) == 1:
        return f"{rows[0].distribution}, all rows"
    named = {kind: [r.label for r in rows if r.distribution == kind] for kind in kinds}
    return "; ".join(f"{kind}: {', '.join(found)}" for kind, found in named.items())
