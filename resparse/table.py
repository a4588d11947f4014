"""What a table's files hold, typed: rows, levels, the whole artifact."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from resparse.errors import UsageError
from resparse.published import Cells
from resparse.reading import Many, Positive, Share, Some, Table, Text


class ParentRow(Table):
    """The row whose run another row starts from, and at which share of all steps (0: its start)."""

    row: str
    at: Annotated[float, Field(ge=0, lt=1)]


class RowAtLevel(Table):
    """What a row changes at one level."""

    recipe: dict[str, Any] = Field(default_factory=dict)
    fields: dict[str, Any] = Field(default_factory=dict)


class Row(Table):
    """One row of a table, as its TOML says it."""

    label: Text
    method: str
    distribution: str
    fields: dict[str, Any] = Field(default_factory=dict)
    length: Positive = 1.0
    snapshots: Many[Share] = ()
    parent: ParentRow | None = None
    levels: dict[str, RowAtLevel] = Field(default_factory=dict)

    def at(self, level: str) -> RowAtLevel:
        """What changes at the level, mostly nothing."""
        return self.levels.get(level, RowAtLevel())

    def fields_at(self, level: str) -> dict[str, Any]:
        """Method fields, those of the level over the row's own."""
        return self.fields | self.at(level).fields


class Level(Table):
    """How much of the paper a level trains."""

    workload: str
    seeds: Some[int]
    shows: Text
    frozen_seeds: Annotated[int, Field(ge=0)] = 0


class Head(Table):
    """The table [artifact]."""

    paper: Text
    name: Text
    title: Text
    published: Text
    sparsities: Some[Share]
    margin_pp: Positive
    margin_reason: Text


class Exact(Table):
    """The table [exact]: the network whose FLOPs the paper prints."""

    workload: str


class File(Table):
    """A whole file; each row is read by itself, since a level's name is one of its keys."""

    artifact: Head
    exact: Exact
    levels: dict[str, Level]
    row: Some[dict[str, Any]]


class Source(Table, extra="ignore"):
    """What is read of the SOURCE.toml beside a CSV."""

    errata: dict[str, Text]


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
