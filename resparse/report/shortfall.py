"""What of a paper was not run: levels, rows and runs without committed records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from resparse.artifact import Artifact
from resparse.kept import Kept
from resparse.record import Record
from resparse.report.pieces import Piece
from resparse.runner import with_parents


@dataclass(frozen=True)
class Lack:
    """What a table lacks at a level: runs, the rows they are of, and the rows that it leaves out.

    ``command`` says what the missing runs would cost.
    """

    table: str
    level: str
    runs: int
    there: int
    rows: tuple[str, ...]  # of which a run is missing
    left_out: tuple[str, ...]
    command: str

    @property
    def said(self) -> str:
        """The rows, in words."""
        missing = "all rows" if not self.there else ", ".join(self.rows)
        out = f"left out by choice: {', '.join(self.left_out)}" if self.left_out else ""
        return "; ".join(filter(None, [missing, out]))


def lacks(found: Sequence[Piece], kept: Mapping[str, Kept]) -> list[Lack]:
    """Every table and level that is not whole, in order."""
    every = [_lack(p, table, at, kept) for p in found for table in p.tables for at in table.levels]
    return [lack for lack in every if lack.runs > lack.there or lack.left_out]


def _lack(piece: Piece, table: Artifact, level: str, kept: Mapping[str, Kept]) -> Lack:
    planned = piece.plans[table.id, level]
    there = kept[level].records if level in kept else {}
    keys = {run.key for run in with_parents([item.run for item in planned])}
    rows = dict.fromkeys(item.label for item in planned if item.run.key not in there)
    what = f"resparse reproduce {table.id}" if piece.is_figure else f"nox -s {piece.name} --"
    return Lack(
        table=table.id,
        level=level,
        runs=len(keys),
        there=len(keys & there.keys()),
        rows=tuple(rows),
        left_out=tuple(row.label for row in table.rows if row.at(level).left_out),
        command=f"{what} --level {level} --plan",
    )


def unplanned(found: Sequence[Piece], kept: Mapping[str, Kept]) -> dict[str, list[Record]]:
    """By level the records that no table of today asks for: of another protocol, in no cell."""
    apart = {}
    for level, records in kept.items():
        plans = [runs for piece in found for (_, at), runs in piece.plans.items() if at == level]
        asked = {run.key for runs in plans for run in with_parents([item.run for item in runs])}
        if left := [record for key, record in records.records.items() if key not in asked]:
            apart[level] = left
    return apart
