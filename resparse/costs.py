"""What each table and figure of a paper holds, is expected to say, costs, and how much is there.

GPU-hours and disk are the paper level's; runs that artifacts share count in each, and once in all.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from resparse import artifact as artifacts
from resparse import kept
from resparse.artifact import PROTOCOL, Artifact
from resparse.asked import Options
from resparse.claims.claim import Claim
from resparse.claims.claim import load as load_claims
from resparse.disk import kept_bytes
from resparse.figures import figure
from resparse.kept import Kept
from resparse.plan import run_flops
from resparse.record import Run
from resparse.report.pieces import planned_on
from resparse.runner import with_parents
from resparse.tables import report as table_report
from resparse.tables.render import counted
from resparse.tables.report import Found

SPEED = 60.0  # TFLOP/s that a GPU sustains, a figure to multiply: no GPU has been timed
HEAD = ("artifact", "command", "numbers", "expected", "margin", "GPU-hours", "disk", "status")


@dataclass(frozen=True)
class Cost:
    """An artifact: ``computed`` its exact numbers by verdict, ``printed`` those to be trained.

    ``means`` is how many means over seeds it shows, ``claims`` how many claims it has a part in;
    ``there`` is (level, its runs that are committed, its runs).
    """

    name: str
    title: str
    computed: dict[str, int]
    printed: int
    means: int
    claims: int
    margin_pp: float
    runs: tuple[Run, ...]  # of the paper level, each once
    there: tuple[tuple[str, int, int], ...]

    @property
    def session(self) -> str:
        """Its nox session at smoke; other levels by -- --level."""
        return f"nox -s {self.name}"


def costs(paper: str, out: Path, only: Sequence[str] = ()) -> list[Cost]:
    """Every table and figure of the paper, or ``only`` those; records are read below ``out``."""
    claims = load_claims(paper)
    read = cache(lambda level: kept.read(kept.file(out, paper, level)))
    found = (name for name in artifacts.of_paper(paper) if not only or name in only)
    return [_cost(name, read, claims) for name in found]


def _cost(name: str, read: Callable[[str], Kept], claims: Sequence[Claim]) -> Cost:
    drawn = figure.load(name) if figure.is_figure(name) else None
    tables = drawn.panels if drawn else (artifacts.load(name),)
    short = name.rpartition("/")[2]
    computed, printed = Counter[str](), 0
    for table in tables if any(table.cells for table in tables) else ():
        options = Options(name=table.id, level=PROTOCOL)
        for row in table_report.rows(table, options, Found()):
            cells = [cell for cell in row.cells.values() if cell.published is not None]
            computed.update(counted(cell) for cell in cells if cell.value is not None)
            printed += sum(cell.value is None for cell in cells)
    levels = dict.fromkeys(level for table in tables for level in table.levels)
    return Cost(
        name=short,
        title=drawn.drawn.title if drawn else tables[0].title,
        computed=dict(sorted(computed.items())),
        printed=printed,
        means=sum(row.has(s) for table in tables for row in table.rows for s in table.sparsities),
        claims=sum(short in claim.entry.artifacts for claim in claims),
        margin_pp=max(table.margin_pp for table in tables),
        runs=tuple(_runs(tables, PROTOCOL)),
        there=tuple((level, *_there(tables, level, read(level))) for level in levels),
    )


def _runs(tables: Sequence[Artifact], level: str, records: Kept | None = None) -> list[Run]:
    """Every run of the tables at a level, parents too, each once; on the images of ``records``."""
    some = (table for table in tables if level in table.levels)
    return with_parents([item.run for t in some for item in planned_on(t, level, records)])


def _there(tables: Sequence[Artifact], level: str, found: Kept) -> tuple[int, int]:
    runs = _runs(tables, level, found)
    return sum(run.key in found.records for run in runs), len(runs)


def hours(runs: Sequence[Run], speed: float) -> float:
    """GPU-hours of ``runs``, each once, at ``speed`` TFLOP/s sustained."""
    return sum(run_flops(run) for run in {run.key: run for run in runs}.values()) / speed / 3.6e15


def disk_bytes(runs: Sequence[Run]) -> int:
    """What ``runs``, each once, leave on the disk when they have ended."""
    return sum(map(kept_bytes, {run.key: run for run in runs}.values()))


def rows(found: Sequence[Cost], speed: float) -> list[list[str]]:
    """A row an artifact in the order of HEAD, and one of all."""
    every = [run for cost in found for run in cost.runs]
    lines = [
        [
            cost.title,
            f"`{cost.session}`",
            _numbers(cost),
            _expected(cost),
            f"{cost.margin_pp:g} points",
            _hours(hours(cost.runs, speed)),
            _disk(disk_bytes(cost.runs)),
            "; ".join(f"{level} {there} of {runs}" for level, there, runs in cost.there),
        ]
        for cost in found
    ]
    of_all = [_hours(hours(every, speed)), _disk(disk_bytes(every))]
    return [*lines, ["all, runs that they share once", *[""] * 4, *of_all, ""]]


def as_json(cost: Cost, speed: float) -> dict[str, Any]:
    """The same of one artifact as JSON, by names with units."""
    return {
        "artifact": cost.name,
        "title": cost.title,
        "command": cost.session,
        "computed": cost.computed,
        "printed_to_train": cost.printed,
        "means": cost.means,
        "claims": cost.claims,
        "margin_pp": cost.margin_pp,
        "gpu_hours": hours(cost.runs, speed),
        "tflops": speed,
        "disk_bytes": disk_bytes(cost.runs),
        "committed": {level: {"there": n, "runs": of} for level, n, of in cost.there},
    }


def _numbers(cost: Cost) -> str:
    exact = sum(cost.computed.values())
    printed = (
        f"{exact} computed, {cost.printed} trained" if exact + cost.printed else "none printed"
    )
    return f"{printed}; {cost.means} means"


def _expected(cost: Cost) -> str:
    said = [f"{count} {verdict}" for verdict, count in cost.computed.items()]
    said += [f"{cost.printed} within the margin"] if cost.printed else []
    said += [f"{_claims(cost.claims)} CONFIRMED"] if cost.claims else []
    return "; ".join(said) or "nothing: a control"


def _claims(count: int) -> str:
    return f"{count} claim{'s' * (count != 1)}"


def _hours(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _disk(value: int) -> str:
    return f"{value / 1e9:.1f} GB"
