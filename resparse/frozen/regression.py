"""Today's runs of the panel against its frozen ones: equality first, else a test for drops.

Pure: records and frozen lines in, a finding a row out. Accuracies are top-1 in percent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from resparse.frozen.lines import agrees, holm, words
from resparse.record import Record
from resparse.verdict import ALPHA, DropTest, Verdict, drop_test

Outcome = Mapping[str, Any]

METRIC = "top1_last"
# What a configuration may decide without a training. Whether it does depends on the method (R_s of
# SET is drawn, that of static is not; global pruning decides a total): where it does, all frozen
# seeds agree, and so must every seed of ours.
EXACT = (
    *("nnz", "maskable", "total", "updates", "dense_forward_flops", "test_flops", "train_flops"),
    *("train_flops_vs_dense", "rs", "rs_trained", "rs_expected", "rs_std"),
)
REGRESSIONS = (Verdict.FAILED, Verdict.MISMATCH, Verdict.UNSTABLE, Verdict.DEVIATES_LOW)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A baseline on a workload at a sparsity: our records and why others failed, frozen lines."""

    label: str
    workload: str
    sparsity: float
    ours: Mapping[int, Record]  # by seed, as all of these
    frozen: Mapping[int, Mapping[str, Any]]
    failed: Mapping[int, str] = field(default_factory=dict)

    @property
    def others(self) -> list[float]:
        """Accuracies of the completed frozen runs whose seeds we did not run."""
        ours = self.ours.keys() | self.failed.keys()
        lines = (line for seed, line in self.frozen.items() if seed not in ours)
        return [line["outcome"][METRIC] for line in lines if line["status"] == "completed"]

    @property
    def values(self) -> list[float]:
        """Accuracies of our completed runs."""
        return [r.outcome[METRIC] for r in self.ours.values() if r.status == "completed"]


class Finding(NamedTuple):
    """What a row's comparison says; ``test`` where accuracies were tested, ``p`` by Holm."""

    row: Row
    verdict: Verdict
    why: str
    test: DropTest | None = None
    p: float | None = None

    @property
    def regression(self) -> bool:
        """Whether something got worse, or an exact value is another."""
        return self.verdict in REGRESSIONS


def judge(rows: Sequence[Row], margin: float) -> list[Finding]:
    """A finding a row: IDENTICAL, or what is wrong, or by how much the accuracy differs.

    Drops are tested for the rows that are not identical, against the frozen seeds that we did not
    run: Student's t with the variance pooled over the row's two groups, Holm over these rows. The
    variance is not the whole panel's: seeds spread by 0.3 points in one row and by 5 in another,
    and with one variance for both a quarter of unchanged panels had a regression. The drop that
    could have been seen is one that survives Holm as the only one: at .05 divided by their number.
    ``margin`` (percentage points) only tells a small difference from an undecided one.
    """
    tested = [row for row in rows if not _identical(row) and row.values and len(row.others) > 1]
    found: dict[int, tuple[DropTest, float]] = {}
    if tested:
        alpha = ALPHA / len(tested)
        tests = [drop_test(row.values, row.others, alpha=alpha) for row in tested]
        for row, test, p in zip(tested, tests, holm(tests), strict=True):
            found[id(row)] = test, p
    return [_finding(row, found.get(id(row)), margin) for row in rows]


def _finding(row: Row, tested: tuple[DropTest, float] | None, margin: float) -> Finding:
    if _identical(row):
        return Finding(row, Verdict.IDENTICAL, f"identical in {len(row.ours)} seeds")
    reasons = {
        Verdict.FAILED: [f"seed {seed} failed: {why}" for seed, why in row.failed.items()],
        Verdict.UNSTABLE: worse(row),
        Verdict.MISMATCH: exact_changes(row),
    }
    verdict = next((verdict for verdict, why in reasons.items() if why), Verdict.INCONCLUSIVE)
    why = [text for texts in reasons.values() for text in texts]
    if tested is None:
        text = f"not identical, and no drop can be tested on {len(row.values)} completed runs"
        return Finding(row, verdict, "; ".join([*why, f"{text} against {len(row.others)}"]))
    test, p = tested
    if verdict is Verdict.INCONCLUSIVE and p < ALPHA:
        verdict = Verdict.DEVIATES_LOW
    elif verdict is Verdict.INCONCLUSIVE and abs(test.difference) <= margin:
        verdict = Verdict.WITHIN_TOLERANCE
    return Finding(row, verdict, "; ".join([*why, words(test, len(row.others), p)]), test, p)


def _identical(row: Row) -> bool:
    """Whether every run of ours ended as its frozen one, every frozen number the same."""
    same = (
        record.status == row.frozen[seed]["status"] and agrees(record, row.frozen[seed]["outcome"])
        for seed, record in row.ours.items()
    )
    return not row.failed and all(same)


def worse(row: Row) -> list[str]:
    """The seeds whose run diverged or collapsed where the frozen one completed."""
    return [
        f"seed {seed} {record.status} ({record.reason}), the frozen run completed"
        for seed, record in row.ours.items()
        if record.status != "completed" and row.frozen[seed]["status"] == "completed"
    ]


def exact_changes(row: Row) -> list[str]:
    """The values that all frozen seeds share and a completed run of ours does not have."""
    found = []
    outcomes = [_exact(line["outcome"]) for line in row.frozen.values()]
    for name, frozen in outcomes[0].items():
        if any(name not in other or other[name] != frozen for other in outcomes):
            continue
        for seed, record in row.ours.items():
            ours = _exact(record.outcome).get(name)
            if record.status == "completed" and ours != frozen:
                text = f"exact value changed: {name} is {ours} at seed {seed}, frozen {frozen}"
                found.append(text)
                break
    return found


def _exact(outcome: Outcome) -> dict[str, Any]:
    """The exact values, a name each: counts per layer and their sum, FLOPs by part."""
    flat: dict[str, Any] = {"nnz": sum(outcome["nnz"].values())}
    for name in EXACT:
        value = outcome.get(name)
        if isinstance(value, Mapping):
            flat |= {f"{name} of {part}": number for part, number in value.items()}
        elif value is not None:
            flat[name] = value
    return flat
