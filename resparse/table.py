"""What a table's files hold, typed: rows, levels, the whole artifact."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, model_validator

from resparse.errors import UsageError
from resparse.published import Cells
from resparse.reading import Many, Positive, Share, Some, Table, Text, read

Value = int | float | str  # of an axis
Coordinates = dict[str, Value]  # axis -> value
Steps = Annotated[int, Field(gt=0)]
Accuracy = Literal["top1_last", "top1_best_test"]
Measured = Literal["top1_best_test", "train_top1"]  # by records that ask for it, see Run


class ParentRow(Table):
    """The row whose run another row starts from, and at which share of all steps (0: its start)."""

    row: str
    at: Annotated[float, Field(ge=0, lt=1)]


class RowAtLevel(Table):
    """What a row changes at one level; one that is left out there is not trained."""

    recipe: dict[str, Any] = Field(default_factory=dict)
    fields: dict[str, Any] = Field(default_factory=dict)
    coordinates: Coordinates = Field(default_factory=dict)
    length: Positive | None = None
    left_out: bool = False


class Row(Table):
    """One row of a table, as its TOML says it; ``coordinates`` are its point in a sweep.

    ``called`` is the paper's name for it where the label says more, ``sparsities`` are those that
    it is trained at where they are not all of the table's.
    """

    label: Text
    method: str
    distribution: str
    called: Text | None = None
    sparsities: Many[Share] = ()
    fields: dict[str, Any] = Field(default_factory=dict)
    length: Positive = 1.0
    snapshots: Many[Share] = ()
    parent: ParentRow | None = None
    coordinates: Coordinates = Field(default_factory=dict)
    levels: dict[str, RowAtLevel] = Field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the paper calls it."""
        return self.called or self.label

    def has(self, sparsity: float) -> bool:
        """Whether it is trained at one of the table's sparsities."""
        return not self.sparsities or sparsity in self.sparsities

    def at(self, level: str) -> RowAtLevel:
        """What changes at the level, mostly nothing."""
        return self.levels.get(level, RowAtLevel())

    def coordinates_at(self, level: str) -> Coordinates:
        """The row's point in its sweep by the level's own values: where a figure draws it."""
        return self.coordinates | self.at(level).coordinates

    def length_at(self, level: str) -> float:
        """The level's own length, or the row's."""
        return self.at(level).length or self.length

    def fields_at(self, level: str) -> dict[str, Any]:
        """Method fields, those of the level over the row's own."""
        return self.fields | self.at(level).fields


class SweepAtLevel(Table):
    """What a sweep changes at one level.

    ``axes``: the level's own values of an axis, one for each of the sweep's, in their order;
    ``leave_out``: those of the sweep's values that the level does not train.
    """

    recipe: dict[str, Any] = Field(default_factory=dict)
    fields: dict[str, Any] = Field(default_factory=dict)
    axes: dict[str, Some[Value]] = Field(default_factory=dict)
    leave_out: dict[str, Some[Value]] = Field(default_factory=dict)


class Sweep(Table):
    """Rows over axes, as a TOML says them: see sweep.py. The label has {axis} for a value."""

    label: Text
    method: str
    distribution: str
    axes: Annotated[dict[str, Some[Value]], Field(min_length=1)]
    called: Text | None = None
    sparsities: Many[Share] = ()
    fields: dict[str, Any] = Field(default_factory=dict)
    length: Positive = 1.0
    snapshots: Many[Share] = ()
    parent: ParentRow | None = None
    levels: dict[str, SweepAtLevel] = Field(default_factory=dict)

    def at(self, level: str) -> SweepAtLevel:
        """What changes at the level, mostly nothing."""
        return self.levels.get(level, SweepAtLevel())


Whole = TypeVar("Whole", Row, Sweep)


def read_with_levels(
    kind: type[Whole],
    at_level: type[Table],
    table: Mapping[str, Any],
    levels: Sequence[str],
    where: str,
) -> Whole:
    """A row or sweep in which a level's name is a key; raises UsageError naming the key."""
    plain: list[str] = [key for key in kind.model_fields if key != "levels"]
    for key in table:
        if key not in (*plain, *levels):
            raise UsageError(f"{where}: unknown key {key!r}; valid: {', '.join((*plain, *levels))}")
    own = {key: table[key] for key in plain if key in table}
    changed = {k: read(at_level, table[k], f"{where}, {k}") for k in levels if k in table}
    return read(kind, own | {"levels": changed}, where)


class Reading(Table):
    """A protocol that the printed R_s are held against; without ``steps`` the rows' own.

    ``steps`` may be a range [from, to] in which the length is fitted to the print, and
    ``densities`` may be fitted, one a sparsity. ``stated``: its length is the paper's.
    """

    says: Text
    stated: bool = False
    steps: Steps | Annotated[tuple[Steps, Steps], Field(strict=False)] | None = None
    densities: Literal["nominal", "fitted"] = "nominal"

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if isinstance(self.steps, tuple) and self.steps[0] >= self.steps[1]:
            raise ValueError("steps = [from, to], the first below the second")
        if self.stated and isinstance(self.steps, tuple):
            raise ValueError("one length as steps, or none, with stated = true")
        return self


class Level(Table):
    """How much of the paper a level trains, and what computes it."""

    workload: str
    engine: Literal["masked", "auto"] = "masked"  # auto: sparse layers where they pay
    recipe: dict[str, Any] = Field(default_factory=dict)  # what it changes in all rows alike
    seeds: Some[int]
    shows: Text
    frozen_seeds: Annotated[int, Field(ge=0)] = 0


class Head(Table):
    """The table [artifact]."""

    paper: Text
    name: Text
    title: Text
    published: Text | None = None  # a CSV of baselines/published/; figures print no numbers
    sparsities: Some[Share]
    margin_pp: Positive
    margin_reason: Text
    errata: Many[Text] = ()  # those that concern the whole table; a cell names its own
    accuracy: Accuracy = "top1_last"  # which the paper reports
    measured: Many[Measured] = ()  # what is shown beside it


class Exact(Table):
    """The table [exact]: the network whose FLOPs the paper prints."""

    workload: str


class File(Table):
    """A whole file; each row is read by itself, since a level's name is one of its keys."""

    artifact: Head
    exact: Exact
    levels: dict[str, Level]
    row: Some[dict[str, Any]] = ()
    sweep: Some[dict[str, Any]] = ()
    reading: Many[Reading] = ()

    @model_validator(mode="after")
    def _has_rows(self) -> Self:
        if not self.row and not self.sweep:
            raise ValueError("row is missing; needed: a [[row]] or a [[sweep]]")
        return self


class Source(Table, extra="ignore"):
    """What is read of the SOURCE.toml beside a CSV."""

    errata: dict[str, Text]


def report_name(name: str, level: str) -> str:
    """A report's files, without what follows the dot: smoke is not said.

    >>> report_name("table1", "smoke"), report_name("table1", "paper")
    ('table1', 'table1-paper')
    """
    return name if level == "smoke" else f"{name}-{level}"


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
    cells: Cells
    errata: dict[str, str]
    of_all: tuple[str, ...] = ()  # the errata that concern the whole table
    readings: tuple[Reading, ...] = ()
    accuracy: Accuracy = "top1_last"
    measured: tuple[Measured, ...] = ()

    @property
    def test_every_epoch(self) -> bool:
        """Whether its runs look for the best epoch on the test images."""
        return "top1_best_test" in (self.accuracy, *self.measured)

    @property
    def id(self) -> str:
        """Like itop/table2."""
        return f"{self.paper}/{self.name}"

    def file(self, level: str) -> str:
        """Name of the report's files, without what follows the dot."""
        return report_name(self.name, level)

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
