"""Weights that move between layers: SNFS and RigL with redistribution, to be checked by eye."""

import pytest
import torch
from test_methods_hand import NAN, bits
from test_variants import Net

from resparse.masks import NonFinite

# step 3 is t = 4 of 8, where alpha 1 has come down to 0.5: half of each layer

HALF = {"interval": 2, "alpha": 1.0, "t_end": 1.0}
PAIR = {
    "a": ("11110000", [5.0, 0.1, -0.2, 4.0, 0.0, 0.0, 0.0, 0.0]),  # 1 and 2 go
    "b": ("00001111", [0.0, 0.0, 0.0, 0.0, 3.0, -0.3, 6.0, 0.4]),  # 5 and 7 go
}
GRADS = {
    "a": [1.0, -1.0, 0.5, -1.5, 50.0, 0.1, -60.0, 0.2],  # mean of the four active |g|: 1
    "b": [0.5, -0.7, 0.6, 0.1, 3.0, -3.0, 2.0, 4.0],  # 3
}
VARIANTS = [("rigl", "gradient"), ("rigl", "momentum"), ("snfs", "momentum")]


@pytest.mark.parametrize(("name", "how"), [("rigl", "gradient"), ("snfs", "momentum")])
def test_the_dropped_grow_where_the_active_weights_are_worth_most(name, how):
    # of the four dropped a gets 1 and b 3, by the active only: a's 50 and 60 are outside its mask.
    # a: 60 (index 6). b: 4 and 3 (7 and 5, back at once), then 0.7 (1)
    net = Net(name, PAIR, redistribution=how, **HALF)
    assert net.update(3, GRADS) == {"a": "10010010", "b": "01001111"}
    assert net.starved == []
    assert net.weights["a"].tolist() == [5.0, 0.0, 0.0, 4.0, 0.0, 0.0, 0.0, 0.0]
    assert torch.equal(net.weights["b"], torch.tensor(PAIR["b"][1]))  # what returned kept its value


def test_rigl_by_momentum_grows_by_the_gradient_where_the_momentum_is():
    # momentum 9 and 3: a gets 3 of the four, b 1. Stale values outside a mask (99) do not count.
    # a: 60, 50 and 1 (6, 4 and 1, which is back). b: 4 (7, back)
    momentum = {"a": [9.0, -9.0, 9.0, 9.0] + [0.0] * 4, "b": [99.0] * 4 + [-3.0, 3.0, 3.0, -3.0]}
    net = Net("rigl", PAIR, momentum=momentum, redistribution="momentum", **HALF)
    assert net.update(3, GRADS) == {"a": "11011010", "b": "00001011"}


def test_snfs_redistributes_by_its_average_of_all_gradients():
    # beta 0.5: after one gradient the average is half of it, and the same masks follow; today's
    # gradient is only seen by observe
    net = Net("snfs", PAIR, redistribution="momentum", beta=0.5, **HALF)
    net.method.observe(2, net.layers(GRADS))
    today = {"a": [NAN] * 8, "b": [NAN] * 8}
    change = net.method.update_masks(3, net.layers(today))
    assert torch.equal(change["a"].mask, bits("10010010"))
    assert torch.equal(change["b"].mask, bits("01001111"))


def test_a_full_layer_passes_on_what_it_cannot_take():
    # 4 of 8, 2 of 4 and 1 of 2 go. Worth 1, 6, 3, however many weights a layer has: of 7 b would
    # get 4.2 but has room for its own 2 alone; the other 5 are shared 1 to 3: 1.25 and 3.75.
    # a: 5 (index 8); c: 9 8 7 6 (2 to 5)
    layers = {
        "a": ("111111110000", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0] + [0.0] * 4),
        "b": ("1111", [1.0, 2.0, 3.0, 4.0]),
        "c": ("11000000", [1.0, 2.0] + [0.0] * 6),
    }
    grads = {
        "a": [1.0] * 8 + [5.0, 0.0, 0.0, 0.0],
        "b": [6.0] * 4,
        "c": [3.0, 3.0, 9.0, 8.0, 7.0, 6.0, 0.0, 0.0],
    }
    net = Net("rigl", layers, redistribution="gradient", **HALF)
    assert net.update(3, grads) == {"a": "000011111000", "b": "1111", "c": "01111100"}


def test_a_layer_that_dropped_its_only_weight_keeps_one_and_is_named():
    # a drops 1 of 1 and is worth 0, b drops 2 of 4: a gets 1 (its largest |g|, index 2), b 2
    layers = {
        "a": ("1000", [0.5, 0.0, 0.0, 0.0]),
        "b": ("11110000", [1.0, 2.0, 3.0, 4.0] + [0.0] * 4),
    }
    grads = {"a": [0.0, 0.1, -0.9, 0.2], "b": [3.0] * 4 + [0.0, 9.0, 8.0, 0.0]}
    net = Net("rigl", layers, redistribution="gradient", **HALF)
    assert net.update(3, grads) == {"a": "0010", "b": "00110110"}
    assert net.starved == ["a"]
    # worth 3 as b is: of the 3 dropped its part is 1.5, rounded up to 2 as the first: no rule helps
    net = Net("rigl", layers, redistribution="gradient", **HALF)
    assert net.update(3, grads | {"a": [3.0, 0.1, -0.9, 0.2]}) == {"a": "1010", "b": "00110100"}
    assert net.starved == []


@pytest.mark.parametrize(("name", "how"), VARIANTS)
def test_ties_in_growth_are_decided_by_the_generator(name, how):
    # a drops 0 and 1 of its five, b one of its two; worth nothing, each gets as near half as can
    # be: a 2 of the three, b 1. In a one clear winner (2) and a tie of 0, 1, 5 and 7; b's wins
    layers = {"a": ("11011010", [1.0] * 8), "b": ("1100", [1.0, 2.0, 0.0, 0.0])}
    grads = {"a": [0.0, 0.0, 3.0] + [0.0] * 5, "b": [0.0, 0.0, 0.0, 3.0]}
    momentum = {"a": [0.0] * 8, "b": [0.0] * 4}
    seen, fields = set(), {"interval": 2, "alpha": 0.8, "t_end": 1.0, "redistribution": how}
    for seed in range(40):
        masks = Net(name, layers, momentum=momentum, seed=seed, **fields).update(3, grads)
        assert masks["b"] == "0101"
        seen.add(masks["a"])
    assert seen == {"10111010", "01111010", "00111110", "00111011"}


@pytest.mark.parametrize(("name", "how"), VARIANTS)
def test_twenty_updates_conserve_the_total(name, how):
    layers = {
        "a": ("111000000000", [0.0] * 12),
        "b": ("1111111111", [0.0] * 10),  # dense at first
        "c": ("1000", [0.0] * 4),  # drops its only weight at every update
    }
    net = Net(name, layers, total=40, redistribution=how, interval=1, alpha=0.5, t_end=1.0)
    draw, counts = torch.Generator().manual_seed(4), set()
    for step in range(20):
        grads = {}
        for i, (layer, weight) in enumerate(net.weights.items()):
            grads[layer] = (torch.randn(weight.shape, generator=draw) * 4.0**i).tolist()
            values = torch.randn((2, *weight.shape), generator=draw) * net.masks.mask[layer]
            net.set_momentum(layer, values[0])
            with torch.no_grad():
                weight.copy_(values[1])
        net.update(step, grads)
        now = net.masks.nnz()
        assert sum(now.values()) == 14
        assert min(now.values()) >= 1
        counts.add(tuple(now.values()))
    assert len(counts) >= 3


@pytest.mark.parametrize("value", [NAN, float("inf")])
@pytest.mark.parametrize(("name", "how"), [("rigl", "gradient"), ("snfs", "momentum")])
def test_a_diverged_gradient_of_an_active_weight_ends_the_run(name, how, value):
    grads = GRADS | {"a": [value, *GRADS["a"][1:]]}
    with pytest.raises(NonFinite, match="a layer's worth is not finite"):
        Net(name, PAIR, redistribution=how, **HALF).update(3, grads)


@pytest.mark.parametrize(("name", "how"), VARIANTS)
def test_a_diverged_gradient_of_a_candidate_ends_the_run(name, how):
    momentum = {"a": [1.0] * 8, "b": [1.0] * 8}
    net = Net(name, PAIR, momentum=momentum, redistribution=how, **HALF)
    with pytest.raises(NonFinite, match="a score is NaN"):
        net.update(3, GRADS | {"a": [*GRADS["a"][:7], NAN]})


@pytest.mark.parametrize("rate", [0.0, 0.9])
def test_rigl_by_momentum_names_what_it_needs(rate):
    # an optimizer without momentum, and one with it before its first step
    net = Net("rigl", PAIR, redistribution="momentum", **HALF)
    net.optimizer = torch.optim.SGD(net.weights.values(), lr=0.1, momentum=rate)
    for weight in net.weights.values():
        weight.grad = torch.ones_like(weight)
    if rate == 0.0:
        net.optimizer.step()
    valid = "valid: an optimizer with momentum, after its first step"
    with pytest.raises(ValueError, match=f"^momentum = None; {valid}"):
        net.update(3, GRADS)
    if rate == 0.9:
        net.optimizer.step()
        assert set(net.update(3, GRADS)) == {"a", "b"}
