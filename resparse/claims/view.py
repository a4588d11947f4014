"""What a predicate looks at: cells by filter, one at a time, and the combinations of axes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from resparse.claims.contrast import Spread, Term, spread_of
from resparse.claims.evidence import Cell, Evidence
from resparse.claims.point import AXES, Value, Where, at_end, fits, meant, said


class Gap(Exception):
    """What is needed and not there, in words: the claim is not run."""


@dataclass(frozen=True)
class Side:
    """One side of a comparison: ``times`` the mean of ``metric`` where the filter says."""

    where: Where
    metric: str
    times: float = 1.0


def side(table: Where, metric: str, at: Where) -> Side:
    """A side as the TOML writes it: axes, and optionally its own ``metric`` and ``times``.

    ``at`` are the values that quantified axes have at the moment: one of the values where the side
    has a list or range, and nothing where the side says its own.
    """
    own = {axis: wanted for axis, wanted in table.items() if axis in AXES}
    where = {**at, **{axis: w for axis, w in own.items() if axis not in at or single(w)}}
    return Side(where, str(table.get("metric", metric)), float(table.get("times", 1.0)))


def single(wanted: Any) -> bool:
    """Whether a filter settles its axis by itself: one value or an end, no list and no range."""
    return not isinstance(wanted, list | tuple | Mapping)


@dataclass(frozen=True)
class View:
    """The cells of one level that a claim reads, none of them bad, and their spread."""

    cells: tuple[Cell, ...]
    spread: Spread

    def term(self, table: Where, metric: str, at: Where, weight: float = 1.0) -> Term:
        """The one cell that a side means, weighted; raises Gap for none and for several."""
        wanted = side(table, metric, at)
        found = self.matching(wanted)
        if not found:
            raise Gap(f"no {wanted.metric} of {said(wanted.where)}")
        if len(found) > 1:
            names = " and of ".join(cell.point.said() for cell in found[:2])
            raise Gap(
                f"{wanted.metric} of {said(wanted.where)} is of {len(found)} points, as of {names};"
                " valid: of one"
            )
        return Term(weight * wanted.times, found[0])

    def matching(self, wanted: Side) -> list[Cell]:
        """All cells that a side means, ends resolved."""
        cells = [cell for cell in self.cells if cell.metric == wanted.metric]
        points = set(at_end([cell.point for cell in cells], wanted.where))
        return [cell for cell in cells if cell.point in points]

    def values(self, axis: str, tables: Sequence[Where], metric: str, at: Where) -> list[Value]:
        """The values of an axis among the points that any of the sides means, rising."""
        found = {
            value
            for table in tables
            for cell in self.matching(side(table, metric, at))
            if (value := getattr(cell.point, axis)) is not None
        }
        return sorted(found, key=lambda value: (isinstance(value, str), value))

    def assignments(
        self, axes: Sequence[str], tables: Sequence[Where], metric: str, at: Where
    ) -> Iterator[Where]:
        """``at`` with every combination of values of ``axes``: an axis' own under those before it.

        A side that settles an axis by itself has no say in its values; values are in every side's
        own list and range. Raises Gap where no point has a value on an axis.
        """
        if not axes:
            yield dict(at)
            return
        first, *others = axes
        if first in at:  # fixed from outside
            yield from self.assignments(others, tables, metric, at)
            return
        open_ = [table for table in tables if first not in table or not single(table[first])]
        values = [
            value
            for value in self.values(first, open_, metric, at)
            if all(single(table.get(first)) or fits(value, table[first]) for table in tables)
        ]
        if not values:
            asked = " or ".join(said(side(table, metric, at).where) for table in tables)
            raise Gap(f"no {metric} of {asked} with a {first.replace('_', ' ')}")
        for value in values:
            yield from self.assignments(others, tables, metric, {**at, first: value})

    def only(self, **axes: Any) -> "View":
        """The same without the points of other values on these axes."""
        return replace(self, cells=tuple(c for c in self.cells if meant(c.point, axes)))


def view_of(evidence: Evidence) -> View:
    """Cells with what is derived of them; raises ValueError where nothing tells their spread."""
    cells = evidence.with_derived().cells
    return View(cells, spread_of(cells))
