"""The paper's own tables as evidence: printed numbers at the points that their rows name."""

import csv
import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from resparse.claims.claim import FOLDER, PRINTED, ROOT
from resparse.claims.evidence import METRICS, Cell, Evidence
from resparse.claims.point import AXES, NUMBERS, Point
from resparse.errors import UsageError
from resparse.published import Cells, read_published
from resparse.reading import Table, Text, read, read_text, toml

INTERVALS = "intervals.csv"  # of the tables of hyperparameters
COLUMNS = ["table", "model", "method", "interval", "source"]


def _pattern(text: str) -> str:
    try:
        groups = re.compile(text).groupindex
    except re.error as error:
        raise ValueError(f"a regular expression; {error}") from error
    if not groups.keys() <= set(AXES):
        raise ValueError(f"groups {', '.join(AXES)}")
    return text


class Rows(Table):
    """How the rows of one table name points: groups of ``row`` are axes, as ``axes`` are."""

    row: Annotated[Text, AfterValidator(_pattern)]
    axes: dict[str, Any] = Field(default_factory=dict)


def cells_of(published: Cells, table: str, rows: Rows, where: str) -> list[Cell]:
    """The printed cells of a table at their points; raises UsageError for a row named otherwise."""
    found = []
    for (label, sparsity, metric), number in published.items():
        match = re.fullmatch(rows.row, label)
        if match is None:
            raise UsageError(f"{where}: row {label!r}; valid: {rows.row}")
        named = {k: float(v) if k in NUMBERS else v for k, v in match.groupdict().items() if v}
        point = Point(**{"artifact": table, "sparsity": sparsity, **rows.axes, **named})
        if number.published is not None:
            found.append(_cell(point, metric, float(number.published)))
        if number.std is not None:
            found.append(_cell(point, f"{metric}_std", number.std))
        if metric == "rs" and number.expected is not None:
            found.append(_cell(point, "rs_expected", float(number.expected)))
    return found


def intervals_of(text: str, where: str) -> list[Cell]:
    """The cells of the tables of hyperparameters; raises UsageError naming the line at fault."""
    head, *lines = list(csv.reader(text.splitlines())) or [[]]
    if head != COLUMNS:
        raise UsageError(f"{where}:1: columns {','.join(head)}; valid: {','.join(COLUMNS)}")
    found = []
    for number, line in enumerate(lines, start=2):
        if len(line) != len(COLUMNS) or not re.fullmatch("[1-9][0-9]*", line[3]):
            raise UsageError(
                f"{where}:{number}: {','.join(line)}; valid: {','.join(COLUMNS)}, whole intervals"
            )
        table, model, method, interval, _ = line
        point = Point(artifact=table, model=model, method=method)
        found.append(_cell(point, "interval", float(interval)))
    return found


def _cell(point: Point, metric: str, value: float) -> Cell:
    if metric not in METRICS:
        raise UsageError(f"{point.said()}: metric {metric!r}; valid: {', '.join(METRICS)}")
    return Cell(
        point=point,
        metric=metric,
        values=((0, value),),
        level="printed",
        protocol="as printed",
        exact=True,
    )


def printed_evidence(paper: str) -> Evidence:
    """Every printed number of the paper that this checkout holds; a table that it lacks is none."""
    folder = ROOT / "baselines" / "published" / paper
    cells: list[Cell] = []
    for table, rows in read_rows(paper).items():
        path = folder / f"{table}.csv"
        if path.is_file():
            where = str(path.relative_to(ROOT))
            cells += cells_of(read_published(read_text(path, where), where), table, rows, where)
    if (path := folder / INTERVALS).is_file():
        where = str(path.relative_to(ROOT))
        cells += intervals_of(read_text(path, where), where)
    return Evidence(tuple(cells))


def read_rows(paper: str) -> dict[str, Rows]:
    """How the paper's tables name points, by table; raises UsageError for a bad file."""
    path = ROOT / "benchmarks" / paper / FOLDER / PRINTED
    where = str(path.relative_to(ROOT))
    tables = toml(read_text(path, where), where)
    return {name: read(Rows, table, f"{where}, {name}") for name, table in tables.items()}
