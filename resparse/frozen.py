"""Our own frozen records, and what a change of numbers against them means."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from statsmodels.stats.multitest import multipletests

from resparse.artifact import ROOT, Artifact
from resparse.record import Record
from resparse.verdict import ALPHA, DropTest, Verdict, drop_test


@dataclass
class Cell:
    """One number of a table: ours, the paper's, what to make of it."""

    value: float | None = None
    std: float | None = None
    seeds: dict[int, float] = field(default_factory=dict)
    published: str | None = None
    published_std: float | None = None
    verdict: Verdict = Verdict.NOT_RUN
    frozen_verdict: Verdict | None = None
    erratum: str | None = None
    note: str = ""


def frozen_records(artifact: Artifact, level: str) -> dict[str, dict[str, Any]]:
    """Our frozen outcomes of this artifact and level by run key; empty before the first freeze."""
    path = ROOT / "baselines" / "frozen" / artifact.paper / f"{artifact.name}-{level}.jsonl"
    if not path.is_file():
        return {}
    lines = (json.loads(line) for line in path.read_text().splitlines())
    return {line["key"]: line for line in lines}


def against_frozen(
    cell: Cell, metric: str, done: Sequence[Record], frozen: dict[str, dict[str, Any]]
) -> list[tuple[Cell, DropTest, int]]:
    """IDENTICAL where every seed equals its frozen record bit for bit.

    Else a test that ours are lower than the frozen seeds we did not run, to be judged with the
    others of the table: (cell, test, how many seeds it was held against), at most one.
    """
    ours = {record.key: record for record in done}
    known = [key for key in ours if key in frozen]
    if not known:
        return []
    same = [key for key in known if ours[key].outcome == frozen[key]["outcome"]]
    if len(same) == len(ours):
        cell.frozen_verdict = Verdict.IDENTICAL
        return []
    cell.frozen_verdict = Verdict.INCONCLUSIVE
    row = frozen[known[0]]["row"], frozen[known[0]]["sparsity"]
    others = [
        line["outcome"][metric]
        for key, line in frozen.items()
        if (line["row"], line["sparsity"]) == row and key not in ours
    ]
    values = list(cell.seeds.values())
    if metric == "rs" or len(others) < 2 or not values:
        cell.note = f"{cell.note} not identical to the frozen runs".strip()
        return []
    return [(cell, drop_test(values, others), len(others))]


def judge_drops(drops: Sequence[tuple[Cell, DropTest, int]], margin: float) -> None:
    """DEVIATES low where the drop is beyond chance (Holm over the table); notes the power."""
    if not drops:
        return
    adjusted = multipletests([test.p_one_sided for _, test, _ in drops], method="holm")[1]
    for (cell, test, seeds), p in zip(drops, adjusted, strict=True):
        if p < ALPHA:
            cell.frozen_verdict = Verdict.DEVIATES_LOW
        elif abs(test.difference) <= margin:
            cell.frozen_verdict = Verdict.WITHIN_TOLERANCE
        note = (
            f"not identical to the frozen runs: difference {test.difference:+.2f} to {seeds} other "
            f"seeds, one-sided p {p:.3f} (Holm), a drop of {test.smallest_visible_drop:.2f} could "
            "have been seen"
        )
        cell.note = f"{cell.note} {note}".strip()
