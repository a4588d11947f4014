"""Records and exact numbers -> the cells of a table, each with its verdict."""

from collections.abc import Sequence

from resparse.artifact import Artifact, Row
from resparse.cell import Cell, TableRow
from resparse.exact import Numbers, row_numbers
from resparse.frozen.lines import Drop, against_frozen, frozen_records, judge_drops, of_row
from resparse.published import Published
from resparse.record import Record
from resparse.verdict import Comparison, Sample, Verdict, exact, judge, levene

MEASURED = ("top1_last", "top1_best_val", "rs")  # of every record
RATIOS = ("train_flops", "test_flops")  # of every row, also one the paper does not have
EXACT_METRICS = ("train_flops", "test_flops", "rs", "train_flops_total", "test_flops_total")
PUBLISHED_SEEDS = 3  # of a printed mean (ITOP, section 3.2 and appendix A.3)
Z_LIMIT = 4.0  # standard deviations of R_s from its exact expectation


def exact_cells(artifact: Artifact, row: Row, sparsity: float) -> tuple[dict[str, Cell], Numbers]:
    """The cells that need no training, for the paper's network."""
    numbers = row_numbers(artifact, row, sparsity)
    cells: dict[str, Cell] = {}
    for metric in EXACT_METRICS:
        reference = artifact.cells.get((row.label, sparsity, metric))
        if metric in RATIOS and reference is None:
            cells[metric] = Cell(value=numbers[metric], verdict=Verdict.NO_REFERENCE)
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
    asked = len(artifact.level(level).seeds) if comparable else 0
    measured = tuple(dict.fromkeys((*MEASURED, artifact.accuracy, *artifact.measured)))
    drops: list[Drop] = []
    first: dict[tuple[str, ...], Cell] = {}  # runs shared by two sparsities count once
    twins: list[tuple[Cell, Cell]] = []
    for sparsity in sparsities:
        for row in (r for r in map(artifact.row, labels) if r.has(sparsity)):
            label = row.label
            cells, numbers = exact_cells(artifact, row, sparsity)
            counts = {"paper": (numbers["nnz"], numbers["maskable"], numbers["total"])}
            found = records.get((label, sparsity), [])
            done = [record for record in found if record is not None]
            for metric in () if exact_only else measured:
                name = "rs_trained_here" if metric == "rs" and "rs" in cells else metric
                published = artifact.cells.get((label, sparsity, name.removesuffix("_last")))
                cell = _measured(metric, found, done, published, stale, comparable, asked)
                cells[name] = cell
                if row.at(level).left_out and not found:
                    cell.note = f"left out at level {level}"
                if (label, sparsity) in failures:
                    cell.verdict = Verdict.FAILED
                    cell.note = failures[(label, sparsity)]
                runs = (metric, *(record.key for record in done))
                if done and runs in first:
                    twins.append((first[runs], cell))
                elif done:
                    first[runs] = cell
                    drops += against_frozen(cell, metric, done, of_row(frozen, row, sparsity))
            if done:
                last = done[-1].outcome
                counts["here"] = (sum(last["nnz"].values()), last["maskable"], last["total"])
            table.append(TableRow(label, sparsity, cells, counts))
    judge_drops(drops, artifact.margin_pp)
    if comparable:
        for metric in ("top1_last", "rs"):
            _judge([c for runs, c in first.items() if runs[0] == metric], metric, artifact)
    for one, other in twins:
        other.frozen_verdict, other.frozen_note = one.frozen_verdict, one.frozen_note
        if (other.published, other.verdict) == (one.published, Verdict.INCONCLUSIVE):
            other.verdict, other.note = one.verdict, one.note
    return table


def _measured(
    metric: str,
    found: Sequence[Record | None],
    done: Sequence[Record],
    published: Published | None,
    stale: set[str],
    comparable: bool,
    asked: int,
) -> Cell:
    cell = Cell()
    if published is not None:
        cell.published, cell.published_std = published.published, published.std
        cell.erratum = published.erratum
    cell.keys = {r.run.seed: r.key for r in done}
    told = {r.run.seed: r.outcome.get(metric) for r in done}  # a run may diverge untested
    values = {seed: value for seed, value in told.items() if value is not None}
    cell.seeds = values
    if values:
        numbers = list(values.values())
        cell.value = sum(numbers) / len(numbers)
        if len(numbers) > 1:
            cell.std = sample_std(numbers)
    unstable = [
        f"seed {r.run.seed} {r.status}: {r.reason}" for r in done if r.status != "completed"
    ]
    cell.unstable = bool(unstable)
    short = len(done) < max(len(found), asked)
    cell.verdict = next(
        verdict
        for verdict, holds in {
            Verdict.NOT_RUN: not done,
            Verdict.INCOMPLETE: short,
            Verdict.STALE: any(r.key in stale for r in done),
            Verdict.NO_REFERENCE: cell.published is None,
            Verdict.NOT_COMPARABLE: not comparable,
            Verdict.UNSTABLE: cell.unstable,
            Verdict.INCONCLUSIVE: True,
        }.items()
        if holds
    )
    if unstable:
        completed = (r.run.seed for r in done if r.status == "completed")
        kept = [values[seed] for seed in completed if seed in values]
        without = f"; without: {sum(kept) / len(kept):.2f}" if kept else ""
        cell.note = "; ".join(unstable) + without
    whole = [r.outcome for r in done if r.status != "diverged" and "rs_z" in r.outcome]
    if metric == "rs" and whole:
        expected = sum(outcome["rs_expected"] for outcome in whole) / len(whole)
        worst_z = max((outcome["rs_z"] for outcome in whole), key=abs)
        cell.note = f"exact expectation {expected:.4f}, largest |z| of a seed {abs(worst_z):.1f}"
        if not abs(worst_z) <= Z_LIMIT:
            cell.verdict = Verdict.MISMATCH
    return cell


def sample_std(values: Sequence[float]) -> float:
    """Sample standard deviation, n - 1."""
    mean = sum(values) / len(values)
    return float((sum((v - mean) ** 2 for v in values) / (len(values) - 1)) ** 0.5)


def _judge(cells: Sequence[Cell], metric: str, artifact: Artifact) -> None:
    """Give the comparable cells of one metric their verdicts; R_s is judged in percent."""
    scale = 100.0 if metric == "rs" else 1.0
    judged = [cell for cell in cells if cell.verdict is Verdict.INCONCLUSIVE]
    without = [cell for cell in cells if cell.verdict is Verdict.NO_REFERENCE and cell.seeds]
    others = [cell for cell in without if not cell.unstable]
    groups = {id(c): [scale * v for v in c.seeds.values()] for c in (*judged, *others)}
    if not judged or all(len(groups[id(cell)]) < 2 for cell in judged):
        return
    comparisons = []
    for cell in judged:
        std = None if cell.published_std is None else scale * cell.published_std
        reference = Sample(scale * float(cell.published or "nan"), std, PUBLISHED_SEEDS)
        comparisons.append(Comparison(groups[id(cell)], reference, artifact.margin_pp))
    spread = levene(list(groups.values()))
    equal = "" if spread is None else f", equal spread of the cells: Levene p {spread:.2f}"
    results = judge(comparisons, others=[groups[id(cell)] for cell in others])
    for cell, result in zip(judged, results, strict=True):
        cell.verdict = result.verdict
        seeds = result.seeds_to_decide or "no number up to 1000 of"
        cell.note = (
            f"difference {result.difference:+z.2f} points, 90 % interval {result.ci90[0]:+z.2f} to "
            f"{result.ci90[1]:+z.2f}, chance of REPRODUCED were it faithful "
            f"{result.chance_reproduced:.2f}, decided by {seeds} seeds{equal}"
        )
