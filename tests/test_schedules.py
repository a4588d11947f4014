"""Schedules against values worked by hand."""

import math
from itertools import pairwise

import pytest

from resparse.schedules import cosine, cubic, is_due, learning_rate


def test_an_update_is_due_on_the_last_step_of_each_interval():
    assert [s for s in range(12) if is_due(s, 4)] == [3, 7, 11]
    assert [s for s in range(3) if is_due(s, 1)] == [0, 1, 2]
    assert not any(is_due(s, 100) for s in range(99))


@pytest.mark.parametrize(
    ("t", "expected"),
    [
        (0, 0.3),
        (25, 0.15 * (1 + math.sqrt(0.5))),  # cos 45 degrees
        (100 / 3, 0.225),  # cos 60 degrees = 1/2
        (50, 0.15),
        (75, 0.15 * (1 - math.sqrt(0.5))),
        (100, 0.0),
    ],
)
def test_cosine(t, expected):
    assert cosine(t, 100, 0.3) == pytest.approx(expected, abs=1e-15)


def test_cosine_with_a_floor_ends_on_it():
    assert cosine(0, 100, 0.3, 0.005) == 0.3
    assert cosine(50, 100, 0.3, 0.005) == pytest.approx(0.1525)  # halfway: (0.3 + 0.005) / 2
    assert cosine(100, 100, 0.3, 0.005) == 0.005


def test_cosine_stays_at_its_ends_outside_the_interval():
    assert cosine(-5, 100, 0.3, 0.005) == 0.3
    assert cosine(130, 100, 0.3, 0.005) == 0.005


@pytest.mark.parametrize(
    ("t", "expected"),
    [
        (0, 1.0),
        (10, 1.0),  # begin
        (12, 0.2 + 0.8 * 0.512),  # a fifth of the way: (4/5)^3
        (15, 0.3),  # half: 0.2 + 0.8 / 8
        (20, 0.2),
        (99, 0.2),
    ],
)
def test_cubic(t, expected):
    assert cubic(t, 10, 20, 0.2) == pytest.approx(expected, abs=1e-15)


def test_cubic_is_zhu_and_gupta_in_densities_and_takes_another_start():
    sparsity = 0.9 + (0.5 - 0.9) * (1 - 3 / 10) ** 3  # s_i = 0.5, s_f = 0.9
    assert cubic(3, 0, 10, 0.1, initial=0.5) == pytest.approx(1 - sparsity)
    values = [cubic(t, 0, 10, 0.1) for t in range(11)]
    assert all(a > b for a, b in pairwise(values))
    assert values[-1] == 0.1


def test_learning_rate_warms_up_linearly_and_reaches_the_base_at_its_last_step():
    rates = [learning_rate(s, base=0.8, total=20, shape="cosine", warmup=4) for s in range(5)]
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8])


def test_learning_rate_cosine():
    assert learning_rate(0, base=0.1, total=10, shape="cosine") == pytest.approx(0.1)
    assert learning_rate(5, base=0.1, total=10, shape="cosine") == pytest.approx(0.05)
    assert learning_rate(10, base=0.1, total=10, shape="cosine") == pytest.approx(0.0)
    # after a warm-up of 4 the cosine runs over the 16 steps that are left
    halfway = learning_rate(12, base=0.1, total=20, shape="cosine", warmup=4)
    assert halfway == pytest.approx(0.05)


def test_learning_rate_steps_drop_at_the_named_step_whatever_the_warm_up():
    for warmup in (0, 3):
        rates = [
            learning_rate(
                s, base=1.0, total=20, shape="steps", drops=(10, 15), factor=0.2, warmup=warmup
            )
            for s in (9, 10, 14, 15, 19)
        ]
        assert rates == pytest.approx([1.0, 0.2, 0.2, 0.04, 0.04])


def test_an_unknown_learning_rate_shape_is_refused():
    with pytest.raises(ValueError, match=r"'triangle'; valid: cosine, steps"):
        learning_rate(0, base=0.1, total=10, shape="triangle")
