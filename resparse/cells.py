"""Records and exact numbers -> the cells of a table, each with its verdict."""

from collections.abc import Sequence
from dataclasses import dataclass

from resparse.artifact import Artifact, Row
from resparse.exact import Numbers, row_numbers
from resparse.frozen import Cell, against_frozen, frozen_records, judge_drops
from resparse.published import Published
from resparse.record import Record
from resparse.verdict import Comparison, DropTest, Sample, Verdict, exact, judge

MEASURED = ("top1_last", "top1_best_val", "rs")
RATIOS = ("train_flops", "test_flops")  # of every row, also one the paper does not have
EXACT_METRICS = ("train_flops", "test_flops", "rs", "train_flops_total", "test_flops_total")


@dataclass
class TableRow:
    """One row at one sparsity; ``counts`` are (nnz, maskable, total) by network."""

    label: str
    sparsity: float
    cells: dict[str, Cell]
    counts: dict[str, tuple[int, int, int]]


def exact_cells(artifact: Artifact, row: Row, sparsity: float) -> tuple[dict[str, Cell], Numbers]:
    """The cells that need no training, for the paper's network."""
    numbers = row_numbers(artifact, row, sparsity)
    cells: dict[str, Cell] = {}
    for metric in EXACT_METRICS:
        reference = artifact.cells.get((row.label, sparsity, metric))
        if metric in RATIOS and (reference is None or reference.expected is None):
            cells[metric] = Cell(value=numbers[metric], verdict=Verdict.NO_REFERENCE)
            continue
        if reference is None or reference.expected is None or numbers[metric] is None:
            continue
        result = exact(numbers[metric], reference.expected, reference.published, reference.erratum)
        cells[metric] = Cell(
            value=numbers[metric],
            published=reference.published,
            verdict=result.verdict,
            erratum=reference.erratum,
            note=result.why,
        )
    return cells, numbers


def build(
    artifact: Artifact,
    level: str,
    records: dict[tuple[str, float], list[Record | None]],
    failures: dict[tuple[str, float], str],
    stale: set[str],
    *,
    comparable: bool,
    sparsities: Sequence[float],
    labels: Sequence[str],
    exact_only: bool = False,
) -> list[TableRow]:
    """All rows; statistical cells are judged together (pooled variance, Holm)."""
    table = []
    frozen = frozen_records(artifact, level)
    drops: list[tuple[Cell, DropTest, int]] = []
    for sparsity in sparsities:
        for label in labels:
            row = artifact.row(label)
            cells, numbers = exact_cells(artifact, row, sparsity)
            paper = (numbers["nnz"], numbers["maskable"], numbers["total"])
            counts = {"paper": paper}
            found = records.get((label, sparsity), [])
            done = [record for record in found if record is not None]
            for metric in () if exact_only else MEASURED:
                name = "rs_trained_here" if metric == "rs" and "rs" in cells else metric
                published = artifact.cells.get(
                    (label, sparsity, "rs" if metric == "rs" else "top1")
                )
                cells[name] = _measured(metric, found, done, published, stale, comparable)
                if (label, sparsity) in failures:
                    cells[name].verdict = Verdict.FAILED
                    cells[name].note = failures[(label, sparsity)]
                if done and frozen:
                    drops += against_frozen(cells[name], metric, done, frozen)
            if done:
                last = done[-1].outcome
                counts["here"] = (sum(last["nnz"].values()), last["maskable"], last["total"])
            table.append(TableRow(label, sparsity, cells, counts))
    judge_drops(drops, artifact.margin_pp)
    if comparable:
        _judge(table, artifact.margin_pp)
    return table


def _measured(
    metric: str,
    found: Sequence[Record | None],
    done: Sequence[Record],
    published: Published | None,
    stale: set[str],
    comparable: bool,
) -> Cell:
    cell = Cell()
    if published is not None:
        cell.published, cell.published_std = published.published, published.std
    values = {r.run.seed: r.outcome[metric] for r in done if r.outcome[metric] is not None}
    cell.seeds = values
    if values:
        numbers = list(values.values())
        cell.value = sum(numbers) / len(numbers)
        if len(numbers) > 1:
            cell.std = sample_std(numbers)
    unstable = [
        f"seed {r.run.seed} {r.status}: {r.reason}" for r in done if r.status != "completed"
    ]
    if not done:
        cell.verdict = Verdict.NOT_RUN
    elif len(done) < len(found):
        cell.verdict = Verdict.INCOMPLETE
    elif any(r.key in stale for r in done):
        cell.verdict = Verdict.STALE
    elif cell.published is None:
        cell.verdict = Verdict.NO_REFERENCE
    elif not comparable:
        cell.verdict = Verdict.NOT_COMPARABLE
    elif unstable:
        cell.verdict = Verdict.UNSTABLE
    else:
        cell.verdict = Verdict.INCONCLUSIVE
    if unstable:
        completed = (r.run.seed for r in done if r.status == "completed")
        kept = [values[seed] for seed in completed if seed in values]
        without = f"; without: {sum(kept) / len(kept):.2f}" if kept else ""
        cell.note = "; ".join(unstable) + without
    if metric == "rs" and done and "rs_z" in done[0].outcome:
        expected = sum(r.outcome["rs_expected"] for r in done) / len(done)
        worst_z = max((r.outcome["rs_z"] for r in done), key=abs)
        cell.note = f"exact expectation {expected:.4f}, largest |z| of a seed {abs(worst_z):.1f}"
    return cell


def sample_std(values: Sequence[float]) -> float:
    """Sample standard deviation, n - 1."""
    mean = sum(values) / len(values)
    return float((sum((v - mean) ** 2 for v in values) / (len(values) - 1)) ** 0.5)


def _judge(table: list[TableRow], margin: float) -> None:
    """Give every comparable top-1 cell of the last epoch its statistical verdict."""
    cells = [
        row.cells["top1_last"]
        for row in table
        if row.cells["top1_last"].verdict is Verdict.INCONCLUSIVE
    ]
    if not cells or all(len(cell.seeds) < 2 for cell in cells):
        return
    comparisons = [
        Comparison(
            list(cell.seeds.values()),
            Sample(float(cell.published or "nan"), cell.published_std, 3),
            margin,
        )
        for cell in cells
    ]
    for cell, result in zip(cells, judge(comparisons), strict=True):
        cell.verdict = result.verdict
        seeds = (
            "no number of seeds up to 1000"
            if result.seeds_to_decide is None
            else (f"{result.seeds_to_decide} seeds")
        )
        cell.note = (
            f"difference {result.difference:+.2f}, 90 % interval {result.ci90[0]:+.2f} to "
            f"{result.ci90[1]:+.2f}, chance of REPRODUCED were it faithful "
            f"{result.chance_reproduced:.2f}, decided by {seeds}"
        )
