"""How many weights each layer grows: by hand, by brute force, and at its limits."""

import re
from itertools import product

import numpy as np
import pytest
import reference_variants

from resparse.masks import NonFinite
from resparse.rules import share_out

MANY = 10**9


def given(total, parts, low, high):
    """share_out of numbered layers."""
    as_dict = [dict(enumerate(values)) for values in (parts, low, high)]
    result = share_out(total, as_dict[0], at_least=as_dict[1], room=as_dict[2])
    assert list(result) == list(range(len(parts)))
    assert all(type(count) is int for count in result.values())
    return list(result.values())


@pytest.mark.parametrize(
    ("total", "parts", "low", "high", "expected"),
    [
        (8, [1, 3], [0, 0], [9, 9], [2, 6]),
        (10, [5.1, 2.8, 2.1], [0] * 3, [9] * 3, [5, 3, 2]),  # .8 is the largest remainder
        (3, [1, 1], [0, 0], [9, 9], [2, 1]),  # 1.5 each: the first given
        (170, [153] + [0.9] * 19, [0] * 20, [MANY] * 20, [153] + [1] * 17 + [0, 0]),  # 153, .895
        # full: 8 shared 2 : 6 with room for 3, the other 3 : 1 takes the rest
        (8, [1, 3], [0, 0], [9, 3], [5, 3]),
        # 1 6 3 of 6: .6 3.6 1.8; the second is full with 2, the other 4 go 1 : 3
        (6, [1, 6, 3], [0] * 3, [6, 2, 6], [1, 2, 3]),
        # full one after the other: 10 of 1 2 7: the third takes 3; of 7 the second would get 4.7
        (10, [1, 2, 7], [0] * 3, [9, 4, 3], [3, 4, 3]),
        # a least that is reached anyway costs nobody anything
        (2, [1, 1], [1, 0], [9, 9], [1, 1]),
        (10, [8, 1, 1], [4, 0, 0], [20] * 3, [8, 1, 1]),
        # a least that is not: 3 of 6 are the first's, the other 3 go 1 : 2
        (6, [0, 1, 2], [3, 0, 0], [9] * 3, [3, 1, 2]),
        # both bounds: 9 of 1 1 7 are 1 1 7; the first must have 3, the third has room for 4
        (9, [1, 1, 7], [3, 0, 0], [9, 9, 4], [3, 2, 4]),
        (7, [0, 0], [0, 0], [9, 9], [4, 3]),  # nothing is worth anything: evenly
        (7, [0, 0], [0, 5], [9, 9], [2, 5]),
        (9, [0, 1], [0, 0], [9, 9], [0, 9]),  # nothing where it is worth nothing
        (12, [0, 1], [0, 0], [9, 9], [3, 9]),  # but for what the others cannot take
        (12, [0, 1, 0], [0] * 3, [9, 8, 9], [2, 8, 2]),
        (0, [1, 2], [0, 0], [9, 9], [0, 0]),
        (0, [0, 0], [0, 0], [0, 0], [0, 0]),
        (2, [5, 0], [1, 1], [9, 9], [1, 1]),  # just the least of each
        (18, [5, 0], [1, 1], [9, 9], [9, 9]),  # all that there is room for
        (0, [], [], [], []),
        (3, [1e-300, 1e300], [0, 0], [9, 2], [1, 2]),
        (MANY, [1e-30, 1], [0, 0], [MANY, MANY], [0, MANY]),
    ],
)
def test_by_hand(total, parts, low, high, expected):
    assert given(total, [float(part) for part in parts], low, high) == expected


def cases(number, layers, most):
    """Random totals, parts (some 0) and bounds that can hold the total."""
    rng = np.random.default_rng(11)
    for _ in range(number):
        n = int(rng.integers(1, layers + 1))
        parts = rng.exponential(size=n) ** 2 * (rng.random(n) > 0.2)
        low = rng.integers(0, 3, n) * (rng.random(n) > 0.6)
        high = low + rng.integers(0, most, n)
        total = int(rng.integers(low.sum(), high.sum() + 1))
        yield total, parts.tolist(), low.tolist(), high.tolist()


def distance(counts, exact):
    return sum(abs(count - x) for count, x in zip(counts, exact, strict=True))


def test_sums_and_bounds_hold_and_rounding_is_by_less_than_one():
    capped = 0
    for total, parts, low, high in cases(400, 30, 40):
        counts = given(total, parts, low, high)
        assert sum(counts) == total
        assert all(a <= count <= b for a, count, b in zip(low, counts, high, strict=True))
        exact = reference_variants.shares(total, parts, low, high)
        assert max(abs(count - x) for count, x in zip(counts, exact, strict=True)) < 1 + 1e-6
        mine = reference_variants.rounded(exact, total)
        assert distance(counts, exact) == pytest.approx(distance(mine, exact), abs=1e-6)
        capped += any(count == b for count, b in zip(counts, high, strict=True))
    assert capped > 50


def test_without_bounds_every_layer_is_within_one_of_its_part():
    for total, parts, _, _ in cases(400, 30, 40):
        if not any(parts):
            continue
        counts = given(total, parts, [0] * len(parts), [total] * len(parts))
        for count, part in zip(counts, parts, strict=True):
            assert abs(count - total * part / sum(parts)) < 1 + 1e-6


def test_no_other_integers_are_nearer():
    for total, parts, low, high in cases(150, 4, 7):
        exact = reference_variants.shares(total, parts, low, high)
        ranges = [range(a, b + 1) for a, b in zip(low, high, strict=True)]
        best = min(distance(c, exact) for c in product(*ranges) if sum(c) == total)
        assert distance(given(total, parts, low, high), exact) == pytest.approx(best, abs=1e-6)


@pytest.mark.parametrize(
    ("total", "low", "high"),
    [(10, [0, 0], [4, 5]), (1, [1, 1], [4, 5]), (-1, [0, 0], [4, 5]), (5, [3, 0], [2, 9])],
)
def test_bounds_that_cannot_hold_the_total_are_named(total, low, high):
    names = [dict(enumerate(values)) for values in (low, high)]
    message = f"{total} weights do not fit layers that take from {names[0]} to {names[1]}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        given(total, [1.0, 1.0], low, high)


@pytest.mark.parametrize("part", [float("nan"), float("inf")])
def test_a_part_that_is_not_finite_ends_the_run(part):
    with pytest.raises(NonFinite, match="a layer's worth is not finite"):
        given(3, [1.0, part], [0, 0], [9, 9])
