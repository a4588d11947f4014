"""Readings of the printed R_s: the errata's numbers, fabricated prints, sentences by hand."""

from dataclasses import replace

import pytest

from resparse import artifact
from resparse.published import Published
from resparse.table import Reading
from resparse.tables import rs_fit
from resparse.tables.rs_fit import Fit, Residual, best_whole, conclusions, expected, fit, residual

ONE, FIVE = artifact.load("itop/table1"), artifact.load("itop/table5")


@pytest.mark.parametrize(
    ("table", "steps", "rms"),  # of an independent script, whose counts are not whole (E-ITOP-09)
    [(ONE, 65_250, 0.0012), (FIVE, 65_250, 0.0044), (ONE, 88_000, 0.0346), (FIVE, 97_750, 0.0774)],
)
def test_rms_at_a_length(table, steps, rms):
    found = fit(table, Reading(says="x", steps=steps))
    assert found.rms == pytest.approx(rms, abs=5e-5)
    assert (found.parameters, found.steps) == (0, steps)


def test_fitted_densities_of_both_tables_agree():
    reading = Reading(says="x", steps=70_400, densities="fitted")
    one, five = fit(ONE, reading), fit(FIVE, reading)
    assert (one.parameters, five.parameters) == (1, 2)
    assert one.densities[0.95] == pytest.approx(five.densities[0.95], abs=1e-4)
    assert one.densities[0.95] == pytest.approx(0.047, abs=5e-4)  # E-ITOP-09, to three digits
    assert five.densities[0.9] == pytest.approx(0.092, abs=5e-4)
    for found in (one, five):
        assert found.rms < 0.0010 <= fit_at_errata(found) + 2e-4


def test_a_fitted_density_is_a_valley_and_no_edge_of_where_it_is_sought():
    """250 epochs ask for densities a fifth below the nominal ones, and still do not fit."""
    found = fit(ONE, Reading(says="x", densities="fitted"))
    assert found.steps == 87_750
    assert found.densities == {0.95: pytest.approx(0.03972, abs=3e-5)}  # scanned by hand
    assert found.rms == pytest.approx(0.00424, abs=2e-5)


def fit_at_errata(found: Fit) -> float:
    """The rms at E-ITOP-09's densities, which is never below the fitted one's."""
    table = ONE if len(found.densities) == 1 else FIVE
    rounded = {0.95: 0.047, 0.9: 0.092}
    printed = rs_fit.printed_rs(table)
    at = rs_fit.rms(
        [residual(expected(table, p.row, rounded[p.sparsity], 70_400), p) for p in printed]
    )
    assert at >= found.rms
    return at


def printing(steps: int, density: float):
    """Table 1 as it would be printed of trainings of this length and density: three cells."""
    cells = {}
    for row in [r for r in ONE.rows if r.coordinates["alpha"] == 0.5][::2]:
        text = f"{expected(ONE, row, density, steps).mean:.3f}"
        cells[row.label, 0.95, "rs"] = Published(text, None, "0.0000", None, "fabricated")
    return replace(ONE, cells=cells)


def test_a_fabricated_length_is_found():
    made = printing(60_000, 0.05)
    found = fit(made, Reading(says="any", steps=(40_000, 100_000)))
    assert abs(found.steps - 60_000) < 500  # what three digits can tell
    assert (found.parameters, found.beyond) == (1, 0)
    wrong = fit(made, Reading(says="as stated", stated=True))
    assert wrong.steps == 87_750
    assert wrong.beyond == 3
    said = list(conclusions([wrong, found]))
    assert said[0].startswith("Not as stated: 3 of 3 printed R_s differ")
    assert "3 are lower than expected" in said[0]
    assert said[-1] == "Only any explains every printed value."


def test_a_fabricated_density_is_found():
    made = printing(70_400, 0.047)
    found = fit(made, Reading(says="x", steps=70_400, densities="fitted"))
    assert found.densities == {0.95: pytest.approx(0.047, abs=1e-4)}
    assert found.beyond == 0


def test_a_print_of_the_stated_protocol_is_not_refused():
    made = printing(87_750, 0.05)
    found = fit(made, Reading(says="as stated", stated=True))
    assert found.beyond == 0
    assert list(conclusions([found])) == [
        "as stated: all 3 printed R_s agree, within rounding and chance."
    ]


def made(says: str, differences: list[float], *, stated=False, steps=1000, beyond=True) -> Fit:
    residuals = [Residual(d, d / 0.2, beyond) for d in differences]
    return Fit(Reading(says=says, stated=stated), steps, {0.9: 0.1}, residuals)


def test_conclusions_by_hand():
    stated = made("A", [0.02, -0.02], stated=True)  # rms 0.02: 10 % high, 10 % low
    near = made("B", [0.002, 0.002], steps=2000)  # a tenth of it
    nearer = made("C", [0.001, 0.001], steps=3000)
    said = list(conclusions([stated, near, nearer]))
    assert said[0] == (
        "Not A: 2 of 2 printed R_s differ from it by more than rounding and chance; 1 are lower "
        "than expected (-10 to 10 %)."
    )
    assert said[1] == (
        "Closer, with numbers fitted to the print: B; C. Best is C, 20 times as close by rms."
    )
    assert said[2].startswith("But none of them explains every printed value")
    assert "of 2,000 to 3,000 steps: evidence against what is stated, no proof" in said[2]
    whole = [made(x, [1e-4], steps=n, beyond=False) for x, n in (("D", 4000), ("E", 5000))]
    said = list(conclusions([stated, near, *whole]))
    assert "But 2 of them explain every printed value" in said[2]
    assert "of 4,000 to 5,000 steps" in said[2]
    farther = made("F", [0.03, 0.03])
    assert list(conclusions([stated, farther]))[1] == "None of the other protocols comes closer."
    farthest = made("G", [0.04, 0.04])
    assert "print: B. Best is B" in list(conclusions([stated, farther, near, farthest]))[1]


@pytest.mark.parametrize("best", [40_000, 40_001, 51_234, 99_999, 100_000])
def test_the_best_length_is_found_to_its_step(best):
    found = best_whole(lambda steps: (steps - best) ** 2, 40_000, 100_000)
    assert abs(found - best) <= rs_fit.FINE
    assert 40_000 <= found <= 100_000


def test_rounding_and_chance():
    """0.2 in print is 0.1995 to 0.2005; the mean of three runs varies by std / sqrt(3)."""
    printed = rs_fit.Printed(ONE.rows[0], 0.95, 0.2, 0.0005)
    std = 0.001
    limit = 0.0005 + 4 * std / 3**0.5
    for sign in (1, -1):
        for share, beyond in ((0.99, False), (1.01, True)):
            mean = 0.2 + sign * share * limit
            found = residual(rs_fit.Expectation(mean, std), printed)
            assert found.beyond is beyond
            assert found.difference == pytest.approx(mean - 0.2)
            assert found.lacking == pytest.approx((mean - 0.2) / mean)


def test_the_printed_values_have_the_last_digit_they_are_printed_with():
    printed = rs_fit.printed_rs(ONE)
    assert len(printed) == 25
    assert {p.half_unit for p in printed} == {0.0005}
    assert len(rs_fit.printed_rs(FIVE)) == 20
