"""Table 2's exact columns, by arithmetic of their own; cells from fabricated records."""

import pytest

from resparse import artifact
from resparse.artifact import plan
from resparse.asked import Options
from resparse.cell import Cell
from resparse.record import Record
from resparse.tables import cells
from resparse.tables.report import command
from resparse.verdict import Verdict

TABLE = artifact.load("itop/table2")
PRINTED = dict.fromkeys(label for label, _, _ in TABLE.cells)  # rows added later are not its own
FORWARD = {  # independent count: layer MACs times layer density, see tests/test_distributions.py
    ("erk", 0.9): 0.24183,
    ("erk", 0.8): 0.41380,
    ("uniform", 0.9): 0.12597,
    ("uniform", 0.8): 0.22309,
}


def gmp_mean(forward: float) -> float:
    """Mean forward cost under pruning from 10,000 to 25,000 of 32,000 steps, every 500.

    Uniform pruning with a dense first layer: cost is linear in the density of the rest.
    """
    target = {0.12597: 0.1, 0.22309: 0.2}[forward]
    first = (forward - target) / (1 - target)
    total = 0.0
    for step in range(32_000):
        pruned_at = min(step // 500 * 500, 25_000)
        progress = min(max((pruned_at - 10_000) / 15_000, 0.0), 1.0)
        density = target + (1 - target) * (1 - progress) ** 3
        total += first + (1 - first) * density
    return total / 32_000


def by_hand(label: str, sparsity: float) -> tuple[float, float]:
    """(train, test) ratios from the papers' formulas."""
    erk, uniform = FORWARD[("erk", sparsity)], FORWARD[("uniform", sparsity)]
    interval = {"RigL": 100, "RigL-ITOP": 4000, "RigL-ITOP_2x": 4000}.get(label, 0)
    if interval:
        step = (3 * interval * erk + 2 * erk + 1) / (interval + 1) / 3
        return step * (2 if label.endswith("2x") else 1), erk
    return {
        "Dense": (1.0, 1.0),
        "Static": (erk, erk),
        "SET": (uniform, uniform),
        "SNFS": ((2 * erk + 1) / 3, erk),
        "GMP": (gmp_mean(uniform), uniform),
        "LTR": (gmp_mean(uniform) + uniform * 30 / 32, uniform),
    }[label]


@pytest.mark.parametrize("sparsity", [0.9, 0.8])
@pytest.mark.parametrize("label", PRINTED)
def test_exact_columns(label, sparsity):
    found, numbers = cells.exact_cells(TABLE, TABLE.row(label), sparsity)
    train, test = by_hand(label, sparsity)
    assert numbers["train_flops"] == pytest.approx(train, abs=3e-5)
    assert numbers["test_flops"] == pytest.approx(test, abs=3e-5)
    assert sum(numbers["train_parts"].values()) == pytest.approx(numbers["train_flops"])
    image = 2 * 4_089_184_256  # dense, forward
    epoch = 1_281_167 // 64 * 64  # whole batches; 100 of them in a 1x row of ITOP's own protocol
    images = 100 * epoch if label.startswith("RigL-ITOP") else 32_000 * 4096
    assert numbers["test_flops_total"] == pytest.approx(test * image, rel=3e-4)
    assert numbers["train_flops_total"] == pytest.approx(3 * train * image * images, rel=3e-4)
    verdicts = {found[metric].verdict for metric in ("train_flops", "test_flops")}
    assert verdicts == {Verdict.NO_REFERENCE if label == "LTR" else Verdict.EXACT}


def test_twenty_of_twenty_eight_ratios_name_an_erratum():
    ratios = [
        cell
        for (label, _, metric), cell in TABLE.cells.items()
        if metric in ("train_flops", "test_flops") and label != "Dense" and cell.published
    ]
    assert len(ratios) == 28
    assert sum(cell.erratum is not None for cell in ratios) == 20
    assert {cell.erratum for cell in ratios} - {None} <= set(TABLE.errata)


def fabricated(label: str, sparsity: float, tops: list[float], **changes) -> list[Record]:
    chosen = [
        p for p in plan(TABLE, "paper", "hash", seeds=range(len(tops)), only=[label])
        if p.sparsity == sparsity
    ]  # fmt: skip
    return [
        Record(
            key=p.run.key,
            config=p.run.config,
            fingerprint="f",
            status=changes.get("status", "completed"),
            reason="",
            outcome={"top1_last": top, "top1_best_val": None, "rs": 0.83, "nnz": {"a": 1},
                     "maskable": 10, "total": 11},
            curves={},
            provenance={},
        )
        for p, top in zip(chosen, tops, strict=True)
    ]  # fmt: skip


def top1(tops: list[float], comparable: bool = True, **changes):
    records = fabricated("RigL-ITOP", 0.9, tops, **changes)
    found = [*records, None] if changes.get("lost") else records
    table = cells.build(
        TABLE, "paper", {("RigL-ITOP", 0.9): found}, {}, set(changes.get("stale", [])),
        comparable=comparable, sparsities=[0.9], labels=["RigL-ITOP"],
    )  # fmt: skip
    return table[0].cells["top1_last"]


def test_verdicts_from_fabricated_records():
    assert top1([73.80, 73.82, 73.84]).verdict is Verdict.REPRODUCED
    assert top1([70.0, 70.1, 69.9]).verdict is Verdict.DEVIATES_LOW
    assert top1([77.0, 77.1, 76.9]).verdict is Verdict.DEVIATES_HIGH
    assert top1([73.8, 73.8, 73.8], comparable=False).verdict is Verdict.NOT_COMPARABLE
    assert top1([73.8, 73.8], lost=True).verdict is Verdict.INCOMPLETE
    assert top1([73.8, 73.8, 73.8], status="diverged").verdict is Verdict.UNSTABLE
    stale = fabricated("RigL-ITOP", 0.9, [73.8])[0].key
    assert top1([73.8, 73.8, 73.8], stale=[stale]).verdict is Verdict.STALE


def test_no_record_is_not_run():
    table = cells.build(
        TABLE, "paper", {}, {}, set(), comparable=True, sparsities=[0.9], labels=["RigL"]
    )
    assert table[0].cells["top1_last"].verdict is Verdict.NOT_RUN


def frozen_line(record: Record, outcome: dict) -> dict:
    seed = record.run.seed
    line = {"row": "RigL-ITOP", "sparsity": 0.9, "seed": seed, "key": record.key}
    return line | {"outcome": outcome}


def against(tops: list[float], frozen_tops: list[float], monkeypatch) -> Cell:
    """Seeds 0 .. of ours against as many frozen seeds and more."""
    ours = fabricated("RigL-ITOP", 0.9, tops)
    old = fabricated("RigL-ITOP", 0.9, frozen_tops)
    lines = [frozen_line(r, r.outcome) for r in old]
    monkeypatch.setattr(cells, "frozen_records", lambda table, level: lines)
    table = cells.build(
        TABLE, "paper", {("RigL-ITOP", 0.9): ours}, {}, set(),
        comparable=False, sparsities=[0.9], labels=["RigL-ITOP"],
    )  # fmt: skip
    return table[0].cells["top1_last"]


def test_frozen_records_are_compared_by_equality_first_then_by_other_seeds(monkeypatch):
    frozen = [91.0, 91.2, 91.4, 91.1, 91.3, 90.9, 91.2, 91.0]
    same = against(frozen[:3], frozen, monkeypatch)
    assert same.frozen_verdict is Verdict.IDENTICAL
    one_bit = against([91.0, 91.2, 91.400001], frozen, monkeypatch)
    assert one_bit.frozen_verdict is Verdict.WITHIN_TOLERANCE
    assert "not identical" in one_bit.frozen_note
    assert "5 other seeds" in one_bit.frozen_note  # the three seeds of ours are left out
    assert "could have been seen" in one_bit.frozen_note
    drop = against([88.0, 88.1, 88.2], frozen, monkeypatch)
    assert drop.frozen_verdict is Verdict.DEVIATES_LOW
    assert "one-sided p 0.000" in drop.frozen_note
    assert against([91.0], [], monkeypatch).frozen_verdict is None


def test_a_changed_recipe_is_still_held_against_the_frozen_seeds(monkeypatch):
    tops = [91.0, 91.2, 91.4, 91.1, 91.3, 90.9, 91.2, 91.0]
    lines = [frozen_line(r, r.outcome) for r in fabricated("RigL-ITOP", 0.9, tops)]
    for line in lines:
        line["key"] = "another recipe's"
    monkeypatch.setattr(cells, "frozen_records", lambda table, level: lines)
    found = top1([88.0, 88.1, 88.2], comparable=False)
    assert found.frozen_verdict is Verdict.DEVIATES_LOW
    assert "to 5 other seeds" in found.frozen_note


def test_fewer_seeds_than_the_protocol_are_incomplete():
    assert top1([73.80, 73.82]).verdict is Verdict.INCOMPLETE


def test_dense_runs_shared_by_the_sparsities_count_once(monkeypatch):
    pools = []
    original = cells.judge
    monkeypatch.setattr(
        cells, "judge", lambda c, **more: pools.append((c, more)) or original(c, **more)
    )
    dense = [fabricated("Dense", s, [76.7, 76.8, 76.9]) for s in (0.9, 0.8)]
    assert [r.key for r in dense[0]] == [r.key for r in dense[1]]
    ltr = fabricated("LTR", 0.9, [71.0, 71.1, 70.9])  # no number is printed for it
    table = cells.build(
        TABLE, "paper",
        {("Dense", 0.9): dense[0], ("Dense", 0.8): dense[1], ("LTR", 0.9): ltr}, {}, set(),
        comparable=True, sparsities=[0.9, 0.8], labels=["Dense", "LTR"],
    )  # fmt: skip
    tops = [row.cells["top1_last"] for row in table if row.label == "Dense"]
    assert {cell.verdict for cell in tops} == {Verdict.REPRODUCED}
    assert tops[0].note == tops[1].note
    (comparisons, more), *_ = pools
    assert [c.ours for c in comparisons] == [[76.7, 76.8, 76.9]]
    assert more == {"others": [[71.0, 71.1, 70.9]]}


def test_explored_weights_are_judged_in_percent_and_against_their_expectation():
    records = fabricated("RigL-ITOP", 0.9, [73.8, 73.8, 73.8])
    for record, rs in zip(records, [0.829, 0.830, 0.831], strict=True):
        record.outcome["rs"] = rs
    found = {("RigL-ITOP", 0.9): records}
    options = {"comparable": True, "sparsities": [0.9], "labels": ["RigL-ITOP"]}
    rs = cells.build(TABLE, "paper", found, {}, set(), **options)[0].cells["rs"]
    assert rs.verdict is Verdict.REPRODUCED
    assert "difference +0.00 points" in rs.note
    for record in records:
        record.outcome.update(rs_expected=0.83, rs_z=-4.1)
    rs = cells.build(TABLE, "paper", found, {}, set(), **options)[0].cells["rs"]
    assert rs.verdict is Verdict.MISMATCH
    assert "4.1" in rs.note


def test_the_header_says_the_command_that_makes_the_table():
    plain = Options(name="itop/table2")
    assert command(TABLE, plain) == "nox -s table2"
    some = Options(
        name="itop/table2", level="paper", seeds=(0, 4), only=("RigL", "SET"), sparsities=(0.9,)
    )
    said = "nox -s table2 -- --level paper --seeds 0,4 --only RigL --only SET --sparsity 0.9"
    assert command(TABLE, some) == said
    assert command(TABLE, Options(name="itop/table2", exact_only=True)).endswith("-- --exact-only")


def test_a_ticket_may_start_from_its_parents_initialisation():
    """At 0 there is no snapshot to start from: the seed draws the same weights again."""
    text = (artifact.ROOT / "benchmarks/itop/table2.toml").read_text()
    old = 'method = "ltr"\ndistribution = "uniform"\nparent = { row = "GMP", at = 0.0625 }'
    assert old in text
    new = 'method = "lth"\ndistribution = "uniform"\nparent = { row = "Dense", at = 0.0 }'
    table = artifact.parse(text.replace(old, new), "changed")
    planned = artifact.plan_row(table, table.row("LTR"), "smoke", 0.9, 4, "unread")
    assert (planned.start_step, planned.parent.method, planned.parent.seed) == (0, "dense", 4)
    assert planned.parent.snapshots == ()
