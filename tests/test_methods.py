"""Every rule against the NumPy reference, and random draws against their distribution."""

from itertools import pairwise

import numpy as np
import pytest
import reference
import torch
from contract import (
    CASES,
    COUNTS,
    DENSITIES,
    FIRST,
    SHAPES,
    TOTAL,
    Run,
    build,
    draws,
    parent_masks,
    parent_weights,
    update_steps,
)
from torch import nn

# the methods of which reference.py holds a version; a new file in methods/ need not bring one
RANDOM = ("set", "set_itop", "snip_set_itop", "lth_set_itop")
KNOWN = (*RANDOM, "set_plus", "rigl", "rigl_itop", "snfs", "gmp")

MOVING = [case for case in CASES if case.split("-")[0] in KNOWN and update_steps(build(case))]
RANKED = ["snip", "snip-starved", "snip_set_itop", "lth", "lth-starved", "lth_set_itop"]


def uniform_scores(seed):
    """What the method draws for SET: U[0, 1) per layer, in layer order, from the same seed."""
    rng = torch.Generator().manual_seed(seed)
    return {name: torch.rand(shape, generator=rng).numpy() for name, shape in SHAPES.items()}


def expected_mask(case, name, mask, ever, step, data):
    """The reference's next mask of one layer; ``ever``: active in any mask so far."""
    method = case.split("-")[0]
    fields, t = CASES[case], step + 1
    weight, grad = data[step][name][0] * mask, data[step][name][1]
    if method == "set_plus":
        score, floor = uniform_scores(t)[name], fields.get("floor", 0.0)
        return reference.set_plus_update(
            mask, weight, score, ever, t, total=TOTAL, alpha=fields["alpha"], floor=floor
        )
    if method in RANDOM:
        return reference.set_update(
            mask,
            weight,
            uniform_scores(t)[name],
            t,
            t_end=fields.get("t_end", 1.0) * TOTAL,
            alpha=fields.get("alpha", 0.5),
            floor=fields.get("floor", 0.0),
            regrow_dropped=fields.get("regrow_dropped", True),
        )
    if case == "rigl":
        return reference.rigl_update(mask, weight, grad, t, t_end=15, alpha=0.4)
    if case == "rigl_itop":
        return reference.rigl_itop_update(
            mask, weight, grad, t, total=TOTAL, alpha=0.5, floor=0.005
        )
    if case == "snfs":
        past = [data[s][name][1] for s in range(step + 1)]
        return reference.snfs_update(mask, weight, past, t, t_end=16, alpha=0.4, beta=0.7)
    return reference.gmp_update(mask, weight, t, begin=2, end=18, density=DENSITIES[name])


def first_masks(case):
    """The reference's masks before training."""
    kept = build(case).at_least if case in RANKED else 0
    if case.startswith("snip"):
        return reference.snip_masks(FIRST, sum(COUNTS.values()), kept)
    if case.startswith("lth"):
        return reference.lth_masks(parent_weights(), sum(COUNTS.values()), kept)
    if case == "gmp":
        return {name: np.ones(shape, dtype=bool) for name, shape in SHAPES.items()}
    scores = uniform_scores(0)
    return {name: reference.random_mask(scores[name], COUNTS[name]) for name in SHAPES}


@pytest.mark.parametrize("case", sorted({*MOVING, *RANKED}))
def test_all_masks_and_the_explored_share_equal_the_reference(case):
    data = draws()
    run = Run(build(case), data)
    steps = update_steps(run.method)
    assert len(steps) >= (3 if case in MOVING else 0)
    masks = first_masks(case)
    history, ever = [masks], dict(masks)
    for step in steps:
        masks = {
            name: expected_mask(case, name, masks[name], ever[name], step, data) for name in SHAPES
        }
        ever = {name: ever[name] | masks[name] for name in SHAPES}
        history.append(masks)
    for actual, expected in zip(run.history, history, strict=True):
        for name in SHAPES:
            np.testing.assert_array_equal(actual[name], expected[name])
    moved = sum(int((a["fc1"] != b["fc1"]).sum()) for a, b in pairwise(history[:4]))
    assert moved >= 6 or case not in MOVING  # the comparison is not of masks that stand still
    assert run.masks.explored() == reference.explored(history)


@pytest.mark.parametrize("case", ["snip-starved", "lth-starved"])
def test_a_starved_layer_keeps_its_share_and_is_named(case):
    free, kept = (Run(build(case, at_least=n), []) for n in (1, 12))
    assert free.counts[0]["fc3"] < 12
    assert kept.counts[0]["fc3"] == 12
    assert sum(kept.counts[0].values()) == sum(free.counts[0].values()) == 40
    assert free.method.state["starved"].tolist() == [False, False, False]
    assert kept.method.state["starved"].tolist()[2]


def test_random_first_masks_are_spread_evenly_over_a_layer():
    method = build("static")
    layers = Run(method, []).masks.layers(None, torch.optim.SGD([nn.Parameter(torch.ones(1))]))
    hits = torch.zeros(SHAPES["fc1"])
    for seed in range(400):
        method.rng.manual_seed(seed)
        hits += method.init_masks(layers)["fc1"]
    # 400 draws of 10 in 48: 83.3 on average, std sqrt(400 x .208 x .792) = 8.1
    assert abs(hits - 400 * 10 / 48).max() < 4.5 * 8.1
    assert hits.sum() == 4000


def test_ltr_takes_its_parents_masks_and_never_moves_them():
    run = Run(build("ltr"), draws())
    for name, mask in parent_masks().items():
        assert torch.equal(run.masks.mask[name], mask)
    assert len(run.history) == 1


def test_growth_is_announced_as_random_only_where_it_is():
    for case in CASES:
        growth, random = build(case).random_growth_at(2), case.split("-")[0] in RANDOM
        assert (growth is not None) == (random or case.startswith("set_plus")), case
    # t = 3 of 16: alpha (1 + cos(3 pi/16))/2 = 0.4579: ceil(4.58) = 5 of fc1's 10, 7 of 15, 7 of 15
    assert build("set").random_growth_at(2) == {"fc1": (5, 43), "fc2": (7, 32), "fc3": (7, 7)}
    # t = 3 of 20: 0.4728: 5, 8, 8; without the dropped, only the inactive are candidates
    assert build("set-exclude").random_growth_at(2) == {
        "fc1": (5, 38),
        "fc2": (8, 25),
        "fc3": (0, 0),
    }


def test_a_generator_is_all_that_random_growth_reads():
    # the same seed on different weights: the drops differ, the grown of full candidates do not
    data, other = draws(), draws(seed=8)
    runs = [Run(build("set", alpha=1.0, t_end=1.0), d) for d in (data, other)]
    # alpha 1 at t = 3 of 20 drops 95 %: ceil(9.46) = 10 of 10 in fc1: all 48 are candidates
    np.testing.assert_array_equal(runs[0].history[1]["fc1"], runs[1].history[1]["fc1"])
