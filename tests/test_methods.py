"""Every rule against the NumPy reference, and random draws against their distribution."""

from itertools import pairwise

import numpy as np
import pytest
import reference
import reference_variants
import torch
from contract import CASES, DENSITIES, FIRST, arrays, build, name_of, run, toy, update_steps
from torch import nn

from resparse.contract.run import MOMENTUM
from resparse.contract.toy import COUNTS, SHAPES, TOTAL, draws

# the methods of which reference.py holds a version; a new file in methods/ need not bring one
RANDOM = ("set", "set_itop", "snip_set_itop", "lth_set_itop")
KNOWN = (*RANDOM, "set_plus", "rigl", "rigl_itop", "snfs", "gmp")

MOVING = [case for case in CASES if name_of(case) in KNOWN and update_steps(build(case))]
TOGETHER = ["snfs-momentum", "rigl-gradient", "rigl-momentum", "gmp-global"]  # rank all layers
RANKED = ["snip", "snip-starved", "snip_set_itop", "lth", "lth-starved", "lth_set_itop"]


def uniform_scores(seed):
    """What the method draws for SET: U[0, 1) per layer, in layer order, from the same seed."""
    rng = torch.Generator().manual_seed(seed)
    return {name: torch.rand(shape, generator=rng).numpy() for name, shape in SHAPES.items()}


def expected_mask(case, name, mask, ever, step, data):
    """The reference's next mask of one layer; ``ever``: active in any mask so far.

    A regrown weight that starts anew does so in the next step's values, which are given here.
    """
    method = name_of(case)
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
    if case in ("rigl", "rigl-reset"):
        return reference.rigl_update(mask, weight, grad, t, t_end=15, alpha=0.4)
    if case == "rigl_itop":
        return reference.rigl_itop_update(
            mask, weight, grad, t, total=TOTAL, alpha=0.5, floor=0.005
        )
    if case == "snfs":
        past = [data[s][name][1] for s in range(step + 1)]
        return reference.snfs_update(mask, weight, past, t, t_end=16, alpha=0.4, beta=0.7)
    return reference.gmp_update(mask, weight, t, begin=2, end=18, density=DENSITIES[name])


def expected_masks(case, masks, ever, step, data):
    """The reference's next masks: layer by layer, or of all layers together."""
    weights = {name: data[step][name][0] * masks[name] for name in SHAPES}
    past = {name: [data[s][name][1] for s in range(step + 1)] for name in SHAPES}
    of_all = (masks, weights)
    if case == "snfs-momentum":
        return reference_variants.snfs_momentum_update(
            *of_all, past, step + 1, t_end=16, alpha=0.4, beta=0.7
        )
    if case == "rigl-gradient":
        return reference_variants.rigl_gradient_update(*of_all, past, step + 1, t_end=15, alpha=0.4)
    if case == "rigl-momentum":
        return reference_variants.rigl_momentum_update(
            *of_all, past, step + 1, t_end=15, alpha=0.4, momentum=MOMENTUM
        )
    if case == "gmp-global":
        return reference_variants.gmp_global_update(
            *of_all, step + 1, begin=2, end=18, count=sum(COUNTS.values())
        )
    return {n: expected_mask(case, n, masks[n], ever[n], step, data) for n in SHAPES}


def data_for(case):
    """Random draws; where layers compete, 1, 4 or 7 times as large, another layer's turn each 4."""
    if case not in TOGETHER:
        return draws()
    data = draws(seed=4)  # by those of 3, momentum would rank the layers twice alike
    for step, layers in enumerate(data):
        for i, name in enumerate(SHAPES):
            times = 1 + 3 * ((step // 4 + i) % 3)
            layers[name] = tuple(times * values for values in layers[name])
    return data


def first_masks(case):
    """The reference's masks before training."""
    kept = build(case).at_least if case in RANKED else 0
    if case.startswith("snip"):
        return reference.snip_masks(FIRST, sum(COUNTS.values()), kept)
    if case.startswith("lth"):
        weights = arrays(toy(case).parent().weights)
        return reference.lth_masks(weights, sum(COUNTS.values()), kept)
    if case in ("gmp", "gmp-global"):
        return {name: np.ones(shape, dtype=bool) for name, shape in SHAPES.items()}
    scores = uniform_scores(0)
    return {name: reference.random_mask(scores[name], COUNTS[name]) for name in SHAPES}


@pytest.mark.parametrize("case", sorted({*MOVING, *RANKED}))
def test_all_masks_and_the_explored_share_equal_the_reference(case):
    data = data_for(case)
    done = run(case, data)
    steps, data = update_steps(done.method), [arrays(layers) for layers in data]
    assert len(steps) >= (3 if case in MOVING else 0)
    masks = first_masks(case)
    history, ever = [masks], dict(masks)
    for step in steps:
        masks = expected_masks(case, masks, ever, step, data)
        ever = {name: ever[name] | masks[name] for name in SHAPES}
        history.append(masks)
    for actual, expected in zip(done.history, history, strict=True):
        for name in SHAPES:
            np.testing.assert_array_equal(actual[name].numpy(), expected[name])
    moved = sum(int((a["fc1"] != b["fc1"]).sum()) for a, b in pairwise(history[:4]))
    assert moved >= 6 or case not in MOVING  # the comparison is not of masks that stand still
    assert done.masks.explored() == reference.explored(history)


@pytest.mark.parametrize("case", TOGETHER)
def test_weights_move_between_layers_where_all_are_ranked_together(case):
    counts = run(case, data_for(case)).counts
    assert len({tuple(count.values()) for count in counts}) >= 3
    assert sum(counts[-1].values()) == sum(COUNTS.values())
    assert counts[-1] != COUNTS


@pytest.mark.parametrize("order", ["replace", "after"])
@pytest.mark.parametrize("case", ["rigl", "rigl-reset", "set", "set-reset"])
def test_masks_weights_and_momentum_of_a_training_equal_the_reference(case, order):
    done, past = run(case, [], {"order": order}, optimizer="SGD"), {"momentum": MOMENTUM}
    method = done.method
    layers = {
        name: reference_variants.Sgd(mask, FIRST[name][0], rate=0.1, decay=0.05, **past)
        for name, mask in first_masks(case).items()
    }
    returned = 0
    for step, data in enumerate(draws()):
        due = method.updates_at(step)
        before = done.masks.mask | {}
        done.step(step, data)
        seen = arrays(data)
        fraction = reference.decayed(step + 1, method.t_end * TOTAL, method.alpha)
        for name, layer in layers.items():
            if not (due and order == "replace"):
                layer.step(seen[name][1])
            if due:
                grows = np.abs(seen[name][1]) if "rigl" in case else uniform_scores(step + 1)[name]
                layer.update(grows, fraction, reset_regrown=case.endswith("reset"))
            np.testing.assert_array_equal(done.masks.mask[name], layer.mask)
            momentum = done.optimizer.state[done.weights[name]]["momentum_buffer"]
            np.testing.assert_allclose(done.weights[name].detach(), layer.weight, atol=1e-5)
            np.testing.assert_allclose(momentum, layer.past, atol=1e-5)
            if due:  # kept a value or not: some of the dense layer's weights are always dropped
                zero = (done.weights[name] == 0) & before[name] & done.masks.mask[name]
                returned += int(zero.sum())
    assert (returned > 0) == case.endswith("reset")


@pytest.mark.parametrize("case", ["snip-starved", "lth-starved"])
def test_a_starved_layer_keeps_its_share_and_is_named(case):
    free, kept = (run(case, [], {"at_least": n}) for n in (1, 12))
    assert free.counts[0]["fc3"] < 12
    assert kept.counts[0]["fc3"] == 12
    assert sum(kept.counts[0].values()) == sum(free.counts[0].values()) == 40
    assert free.method.state["starved"].tolist() == [False, False, False]
    assert kept.method.state["starved"].tolist()[2]


def test_random_first_masks_are_spread_evenly_over_a_layer():
    method = build("static")
    layers = run("static", []).masks.layers(None, torch.optim.SGD([nn.Parameter(torch.ones(1))]))
    hits = torch.zeros(SHAPES["fc1"])
    for seed in range(400):
        method.rng.manual_seed(seed)
        hits += method.init_masks(layers)["fc1"]
    # 400 draws of 10 in 48: 83.3 on average, std sqrt(400 x .208 x .792) = 8.1
    assert abs(hits - 400 * 10 / 48).max() < 4.5 * 8.1
    assert hits.sum() == 4000


def test_ltr_takes_its_parents_masks_and_never_moves_them():
    done = run("ltr")
    for name, mask in toy("ltr").parent().masks.items():
        assert torch.equal(done.masks.mask[name], mask)
    assert len(done.history) == 1


def test_growth_is_announced_as_random_only_where_it_is():
    for case in CASES:
        growth, random = build(case).random_growth_at(2), name_of(case) in RANDOM
        assert (growth is not None) == (random or case.startswith("set_plus")), case
    # t = 3 of 16: alpha (1 + cos(3 pi/16))/2 = 0.4579: ceil(4.58) = 5 of fc1's 10, 7 of 15, 7 of 15
    assert build("set").random_growth_at(2) == {"fc1": (5, 43), "conv2": (7, 32), "fc3": (7, 7)}
    # t = 3 of 20: 0.4728: 5, 8, 8; without the dropped, only the inactive are candidates
    assert build("set-exclude").random_growth_at(2) == {
        "fc1": (5, 38),
        "conv2": (8, 25),
        "fc3": (0, 0),
    }


def test_a_generator_is_all_that_random_growth_reads():
    # the same seed on different weights: the drops differ, the grown of full candidates do not
    data, other = draws(), draws(seed=8)
    runs = [run("set", d, {"alpha": 1.0, "t_end": 1.0}) for d in (data, other)]
    # alpha 1 at t = 3 of 20 drops 95 %: ceil(9.46) = 10 of 10 in fc1: all 48 are candidates
    assert torch.equal(runs[0].history[1]["fc1"], runs[1].history[1]["fc1"])
