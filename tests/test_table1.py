"""ITOP's Tables 1 and 5: R_s by arithmetic of its own, points left out, runs that both share."""

import math

import pytest

from resparse import artifact
from resparse.errors import UsageError
from resparse.masks import drop_count
from resparse.tables import cells
from resparse.verdict import Verdict
from resparse.workloads import workload

ONE, FIVE = artifact.load("itop/table1"), artifact.load("itop/table5")
STEPS = 250 * (45_000 // 128)
# ResNet-18 for 32 x 32 images (out, in, k, k), its classifier last
SHAPES = [(64, 3, 3, 3)]
for width, above in ((64, 64), (128, 64), (256, 128), (512, 256)):
    SHAPES += [(width, above, 3, 3), (width, width, 3, 3)]
    SHAPES += [(width, above, 1, 1)] if width != above else []
    SHAPES += [(width, width, 3, 3)] * 2
SHAPES.append((10, 512))


def erk(density: float) -> list[float]:
    """Densities proportional to sum / product of a shape, full where that would exceed 1."""
    sums, sizes = [sum(s) for s in SHAPES], [math.prod(s) for s in SHAPES]
    full: set[int] = set()
    while True:
        free = [n for n in range(len(SHAPES)) if n not in full]
        room = density * sum(sizes) - sum(sizes[n] for n in full)
        scale = room / sum(sums[n] for n in free)
        wrong = [n for n in free if scale * sums[n] > sizes[n]]
        if not wrong:
            return [1.0 if n in full else scale * sums[n] / sizes[n] for n in range(len(SHAPES))]
        full.add(max(wrong, key=lambda n: sums[n] / sizes[n]))


def by_hand(density: float, alpha: float, interval: int, *, fresh_first: bool) -> float:
    """R + (1 - R) p d / (1 - d + p d) for SET, min(1, R + p d) for SET+, a layer and an update."""
    explored = 0.0
    for shape, d in zip(SHAPES, erk(density), strict=True):
        share = d
        for t in range(interval, STEPS + 1, interval):
            grown = alpha / 2 * (1 + math.cos(math.pi * t / STEPS)) * d
            if fresh_first:
                share = min(1.0, share + grown)
            elif d < 1:
                share += (1 - share) * grown / (1 - d + grown)
        explored += share * math.prod(shape)
    return explored / sum(map(math.prod, SHAPES))


def test_the_network_is_the_one_counted_here():
    found = workload(ONE.exact_workload).shapes.values()
    assert sorted(found) == sorted(SHAPES)
    assert STEPS == artifact.recipe_of(ONE, ONE.rows[0], "paper").steps == 87_750


def test_r_s_of_table_1_is_exact_and_never_what_is_printed():
    assert len(ONE.rows) == 25
    for row in ONE.rows:
        cell = cells.exact_cells(ONE, row, 0.95)[0]["rs"]
        alpha, interval = row.coordinates["alpha"], row.coordinates["interval"]
        hand = by_hand(0.05, alpha, interval, fresh_first=False)
        assert cell.value == pytest.approx(hand, abs=3e-5)  # whole counts, rounded up
        assert (cell.verdict, cell.erratum) == (Verdict.EXACT, "E-ITOP-09")
        assert cell.value > 1.09 * float(cell.published)


@pytest.mark.parametrize("sparsity", [0.9, 0.95])
def test_r_s_of_table_5_is_exact_for_set_plus_too(sparsity):
    assert len(FIVE.rows) == 10
    for row in FIVE.rows:
        cell = cells.exact_cells(FIVE, row, sparsity)[0]["rs"]
        plus = row.method == "set_plus"
        hand = by_hand(1 - sparsity, 0.5, row.coordinates["interval"], fresh_first=plus)
        assert cell.value == pytest.approx(hand, abs=5e-5)
        assert (cell.verdict, cell.erratum) == (Verdict.EXACT, "E-ITOP-09")


def test_set_plus_explores_all_it_grows_while_there_is_enough():
    """One layer, by hand: 10 of 100 at first; k of each update counted whole, none twice."""
    from resparse import registry
    from resparse.exploration import expected_explored

    method = registry.build(
        "set_plus", {"order": "after", "interval": 10, "alpha": 0.5, "floor": 0.0},
        {"fc": 0.1}, {"fc": 100}, 40,
    )  # fmt: skip
    due = (9, 19, 29, 39)
    k = [drop_count(0.25 * (1 + math.cos(math.pi * t / 40)), 10) for t in (10, 20, 30, 40)]
    assert k == [5, 3, 1, 0]  # 0.427, 0.25, 0.073 and 0 of 10, rounded up
    found = expected_explored({"fc": 10}, {"fc": 100}, (method.random_growth_at(s) for s in due))
    assert found.mean == pytest.approx((10 + 5 + 3 + 1) / 100)
    assert found.std == pytest.approx(0.0, abs=1e-9)


def test_smoke_makes_as_many_updates_as_the_paper():
    for table in (ONE, FIVE):
        for row in table.rows:
            if not row.at("smoke").left_out:
                every = row.coordinates_at("smoke")["interval"]
                assert 700 // every == STEPS // row.coordinates["interval"]


def test_points_left_out_at_smoke_are_not_trained_and_say_so():
    planned = artifact.plan(ONE, "smoke", "unread", seeds=[0])
    assert len({p.label for p in planned}) == 9
    assert {p.run.fields["interval"] for p in planned} == {120, 40, 24}
    assert len(artifact.plan(ONE, "paper", "unread", seeds=[0])) == 25
    with pytest.raises(UsageError, match=r"P 0\.7 interval 3000 is left out at level smoke"):
        artifact.plan(ONE, "smoke", "unread", seeds=[0], only=["P 0.7 interval 3000"])
    rows = cells.build(
        ONE, "smoke", {}, {}, set(), comparable=False, sparsities=[0.95],
        labels=["P 0.7 interval 3000", "P 0.5 interval 3000"],
    )  # fmt: skip
    notes = [row.cells["top1_last"].note for row in rows]
    assert notes == ["left out at level smoke", ""]
    assert rows[0].cells["top1_last"].verdict is Verdict.NOT_RUN
    assert rows[1].cells["top1_last"].erratum == "E-ITOP-08"


@pytest.mark.parametrize(("level", "shared"), [("smoke", 3), ("paper", 5)])
def test_both_tables_train_their_common_setting_once(level, shared):
    keys = [
        {p.run.key: p for p in artifact.plan(table, level, "unread", seeds=[0])}
        for table in (ONE, FIVE)
    ]
    common = keys[0].keys() & keys[1].keys()
    assert len(common) == shared
    for key in common:
        assert keys[0][key].label.startswith("P 0.5 ")
        assert keys[1][key].label.startswith("SET interval")
        assert keys[1][key].sparsity == 0.95
    assert keys[1].keys() - common  # SET+, and sparsity 0.9
