"""Our own frozen records, and what a change of numbers against them means."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from resparse.artifact import ROOT, Artifact, Row
from resparse.cell import Cell
from resparse.errors import RunFailed
from resparse.files import read_json
from resparse.record import Record
from resparse.verdict import ALPHA, DropTest, Verdict, drop_test

Drop = tuple[Cell, DropTest, int]  # a cell, the test of its drop, the seeds it is held against


def frozen_records(artifact: Artifact, level: str) -> list[dict[str, Any]]:
    """Our frozen outcomes of this artifact and level; empty before the first freeze."""
    return frozen_lines(artifact.id, level)


def frozen_file(name: str, level: str) -> Path:
    """Where the frozen outcomes of itop/table2 or compare/panel at a level are, or would be."""
    return ROOT / "baselines" / "frozen" / f"{name}-{level}.jsonl"


def made_by(name: str, level: str) -> dict[str, Any]:
    """Facts of the machine and code that made the frozen outcomes; empty where none are frozen."""
    file = frozen_file(name, level)
    if not file.is_file():
        return {}
    path = file.with_suffix(".provenance.json")
    try:
        facts = read_json(path)
        str(facts["torch"])  # decides whether numbers have to be equal
    except (OSError, ValueError, LookupError, TypeError) as error:
        why = f"{type(error).__name__}: {error}"
        raise RunFailed(f"{path} is damaged ({why}): restore it with git") from error
    return dict(facts)


def frozen_lines(name: str, level: str) -> list[dict[str, Any]]:
    """The frozen outcomes of itop/table2 or compare/panel, a run each; empty where none are."""
    path = frozen_file(name, level)
    if not path.is_file():
        return []
    try:
        lines = [json.loads(line) for line in path.read_text().splitlines()]
    except ValueError as error:
        raise RunFailed(f"{path} is damaged ({error}): restore it with git") from error
    for number, line in enumerate(lines, start=1):
        if not (isinstance(line, dict) and {"key", "status", "outcome"} <= line.keys()):
            raise RunFailed(f"{path}:{number} is damaged (no record): restore it with git")
    return lines


def of_row(frozen: Sequence[dict[str, Any]], row: Row, sparsity: float) -> list[dict[str, Any]]:
    """The frozen outcomes of a row at a sparsity; dense ones are shared by all sparsities."""
    shared = row.distribution == "dense"
    return [f for f in frozen if f["row"] == row.label and (shared or f["sparsity"] == sparsity)]


def agrees(record: Record, outcome: dict[str, Any]) -> bool:
    """Whether every number that was frozen is still the same, to the last bit."""
    return all(record.outcome.get(name) == value for name, value in outcome.items())


def against_frozen(
    cell: Cell, metric: str, done: Sequence[Record], frozen: Sequence[dict[str, Any]]
) -> list[Drop]:
    """IDENTICAL where every seed equals its frozen record bit for bit.

    Else, also where a changed recipe gives the runs other keys, a test that ours are lower than
    the frozen seeds we did not run, to be judged with the others of the table; at most one.
    """
    if not frozen:
        return []
    outcomes = {line["key"]: line["outcome"] for line in frozen}
    if all(record.key in outcomes and agrees(record, outcomes[record.key]) for record in done):
        cell.frozen_verdict = Verdict.IDENTICAL
        return []
    cell.frozen_verdict, cell.frozen_note = Verdict.INCONCLUSIVE, "other numbers than frozen"
    seeds = {record.run.seed for record in done}
    others = [f["outcome"][metric] for f in frozen if f["seed"] not in seeds]
    others = [value for value in others if value is not None]
    values = list(cell.seeds.values())
    if metric == "rs" or len(others) < 2 or not values:  # a drop of R_s is no loss in itself
        return []
    return [(cell, drop_test(values, others), len(others))]


def judge_drops(drops: Sequence[Drop], margin: float) -> None:
    """DEVIATES low where the drop is beyond chance (Holm over the table); notes the power."""
    if not drops:
        return
    for (cell, test, seeds), p in zip(drops, holm([test for _, test, _ in drops]), strict=True):
        if p < ALPHA:
            cell.frozen_verdict = Verdict.DEVIATES_LOW
        elif abs(test.difference) <= margin:
            cell.frozen_verdict = Verdict.WITHIN_TOLERANCE
        cell.frozen_note = words(test, seeds, p)


def holm(tests: Sequence[DropTest]) -> list[float]:
    """p of each drop, adjusted for all of them."""
    from statsmodels.stats.multitest import multipletests  # with pandas: where it is needed

    return list(multipletests([test.p_one_sided for test in tests], method="holm")[1].tolist())


def words(test: DropTest, seeds: int, p: float) -> str:
    """What a drop test found, and could have found, against ``seeds`` frozen seeds not ours."""
    return (
        f"not identical to the frozen runs, difference {test.difference:+z.2f} to {seeds} "
        f"other seeds, one-sided p {p:.3f} (Holm), a drop of "
        f"{test.smallest_visible_drop:.2f} could have been seen"
    )
