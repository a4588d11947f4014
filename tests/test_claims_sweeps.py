"""Two sweeps compared, four points each, by hand; and sides that a quantifier leaves alone."""

import pytest
from claims_worlds import cells, evidence, points

from resparse.claims.claim import parse
from resparse.claims.judge import judge

HEAD = """
[[claim]]
id = "one"
where = "Figure 5"
kind = "ordering"
statement = "By hand."
artifacts = ["figure5"]
margin_reason = "half a point is chance"
"""
PLACES = (1, 2, 4, 8)  # of interval, sparsity or length


def judged(part, left, right):
    """RigL's and SET's means at four intervals, walked up, judged by a part on the two."""
    found = evidence(
        *(
            cells(
                points("figure5", name, interval=PLACES),
                "top1",
                lambda p, means=means: means[PLACES.index(p.interval)],
            )
            for name, means in (("RigL", left), ("SET", right))
        )
    )
    sides = 'left = { method = "RigL" }, right = { method = "SET" }, along = "interval"'
    text = f"{HEAD}part = [{{ {sides}, {part} }}]"
    return judge(parse(text, "file")[0], found, "paper")


@pytest.mark.parametrize(
    ("part", "left", "right", "verdict"),
    [
        ('test = "higher"', (60, 61, 64, 60), (63, 62, 61, 60), "CONFIRMED"),
        ('test = "higher"', (60, 61, 62, 60), (63, 62, 61, 60), "CONTRADICTED"),
        ('test = "wider"', (60, 61, 64, 60), (63, 62, 61, 60), "CONFIRMED"),
        ('test = "wider"', (60, 61, 64, 62), (65, 62, 61, 60), "CONTRADICTED"),
        ('test = "further"', (60, 61, 64, 60), (60, 64, 61, 60), "CONFIRMED"),
        ('test = "further"', (60, 64, 61, 60), (60, 64, 61, 60), "CONTRADICTED"),  # one place
        ('test = "further"', (60, 64, 61, 60), (60, 61, 64, 60), "CONTRADICTED"),
        ('test = "loses", walk = "up"', (60, 64, 61, 60), (60, 63, 62, 61), "CONFIRMED"),
        ('test = "loses", walk = "up"', (50, 62, 62, 61), (60, 63, 62, 61), "CONTRADICTED"),
        ('test = "loses", walk = "down"', (60, 61, 64, 60), (62, 62, 63, 60), "CONFIRMED"),
    ],
)
def test_two_sweeps(part, left, right, verdict):
    judgement = judged(part, left, right)
    assert judgement.verdict == verdict, judgement.why


@pytest.mark.parametrize(
    ("less", "more", "verdict"),
    [
        ((60, 63, 63, 63), (57, 59, 62, 62), "CONFIRMED"),
        ((60, 63, 63, 63), (57, 62, 62, 62), "CONFIRMED"),  # at the same length
        ((60, 61, 63, 63), (57, 62, 62, 62), "CONTRADICTED"),
        ((60, 61, 62, 63), (57, 58, 59, 60), "CONFIRMED"),  # both at the very end
    ],
)
def test_a_plateau_comes_sooner(less, more, verdict):
    run = points("figure5", "SET", sparsity=(0.9, 0.95), length=PLACES)
    table = {0.9: less, 0.95: more}
    found = evidence(cells(run, "top1", lambda p: table[p.sparsity][PLACES.index(p.length)]))
    part = (
        'test = "sooner", of = { method = "SET" }, along = "length", walk = "up", '
        'over = "sparsity", step = 0.5'
    )
    judgement = judge(parse(f"{HEAD}part = [{{ {part} }}]", "file")[0], found, "paper")
    assert judgement.verdict == verdict, judgement.why


def test_a_side_that_settles_an_axis_has_no_say_in_its_values():
    """Dense at length 1 is what every length of SET is held against; SET itself has none."""
    found = evidence(
        cells(points("figure5", "SET", length=(2, 4)), "top1", 62.0),
        cells(points("figure5", "Dense", length=1), "top1", 60.0),
    )
    sides = 'left = { method = "SET" }, right = { method = "Dense", length = 1 }'
    text = f'{HEAD}part = [{{ test = "above", {sides}, each = ["length"] }}]'
    judgement = judge(parse(text, "file")[0], found, "paper")
    assert judgement.verdict == "CONFIRMED", judgement.why
    assert judgement.comparisons == 2
