"""The variants of GMP, SET, RigL and SNFS, on layers of 4 to 12 weights one can check by eye."""

import pytest
import torch
from test_methods_hand import GRAD, HALFWAY, MASK, MOMENT, NAN, WEIGHT, Toy, bits
from torch import nn

from resparse import registry
from resparse.errors import UsageError
from resparse.masks import Masks, NonFinite


class Net:
    """Layers with given masks and weights under a method; ``kept``: the target's active weights."""

    def __init__(self, name, layers, *, kept=None, total=8, momentum=None, seed=0, **fields):
        masks = {layer: bits(mask) for layer, (mask, _) in layers.items()}
        self.weights = {n: nn.Parameter(torch.tensor(weight)) for n, (_, weight) in layers.items()}
        self.masks = Masks(self.weights, masks)
        self.optimizer = torch.optim.SGD(self.weights.values(), lr=0.1, momentum=0.9)
        for layer, values in (momentum or {}).items():
            self.set_momentum(layer, torch.tensor(values))
        kept = kept or {layer: int(mask.sum()) for layer, mask in masks.items()}
        self.method = registry.load(name)(
            densities={n: kept[n] / mask.numel() for n, mask in masks.items()},
            sizes={n: mask.numel() for n, mask in masks.items()},
            total_steps=total,
            rng=torch.Generator().manual_seed(seed),
            **fields,
        )

    def set_momentum(self, layer, values):
        self.optimizer.state[self.weights[layer]]["momentum_buffer"] = values

    def layers(self, grads=None):
        tensors = None if grads is None else {n: torch.tensor(grad) for n, grad in grads.items()}
        return self.masks.layers(tensors, self.optimizer)

    def update(self, step, grads=None):
        """All masks after the update at ``step``, as strings of bits; its total is as announced."""
        assert self.method.updates_at(step)
        layers = self.layers(grads)
        if self.method.grads == "always":
            self.method.observe(step, layers)
        changes = self.method.update_masks(step, layers)
        self.starved = [name for name, change in changes.items() if change.starved]
        self.masks.install(changes, self.optimizer)
        self.masks.check_counts(self.method.nnz_at(step))
        return {n: "".join("01"[int(bit)] for bit in mask) for n, mask in self.masks.mask.items()}


# gmp: two layers of four weights, half of all to be kept at the last step


def pruned(scope, a, b, starved=()):
    starved = list(starved)
    fields = {"begin": 0.0, "end": 1.0, "interval": 2, "scope": scope}
    net = Net("gmp", {"a": ("1111", a), "b": ("1111", b)}, kept={"a": 2, "b": 2}, **fields)
    masks = net.update(7)
    assert net.starved == starved
    return masks


def test_gmp_keeps_the_largest_of_each_layer_or_of_all():
    a, b = [9.0, -8.0, 7.0, 1.0], [-6.0, 5.0, 2.0, 3.0]
    assert pruned("layer", a, b) == {"a": "1100", "b": "1100"}
    assert pruned("global", a, b) == {"a": "1110", "b": "1000"}  # 9 8 7 6


def test_gmp_over_all_layers_leaves_an_emptied_layer_its_largest_weight_and_names_it():
    a, b = [9.0, -8.0, 7.0, 6.0], [0.1, -0.4, 0.2, 0.3]
    assert pruned("layer", a, b) == {"a": "1100", "b": "0101"}
    kept = pruned("global", a, b, starved=["b"])
    assert kept == {"a": "1110", "b": "0100"}  # 9 8 7, and b's 0.4 for a's 6


def test_gmp_over_all_layers_has_its_exact_total_at_every_pruning_and_only_shrinks():
    # 12 weights, 3 to be kept. Density .25 + .75 (1 - t/8)^3: t = 2: .5664 x 12 = 6.8 -> 7;
    # t = 4: .3438 x 12 = 4.1 -> 4; t = 6: .2617 x 12 = 3.1 -> 3; t = 8: 3
    a, b = [0.9, -0.8, 0.7, 0.6, -0.5, 0.4, 0.3, 0.2], [-1.0, 0.85, 0.1, 0.05]
    net = Net(
        "gmp",
        {"a": ("1" * 8, a), "b": ("1111", b)},
        kept={"a": 2, "b": 1},
        **{"begin": 0.0, "end": 1.0, "interval": 2, "scope": "global"},
    )
    assert [net.method.nnz_at(step) for step in range(-1, 8)] == [12, 12, 7, 7, 4, 4, 3, 3, 3]
    # in order: b 1.0, a .9, b .85, a .8, a .7, a .6, a .5
    assert net.update(1) == {"a": "11111000", "b": "1100"}
    with torch.no_grad():
        net.weights["a"][5] = 50.0  # pruned: it would not return even if it held a large weight
    assert net.update(3) == {"a": "11000000", "b": "1100"}
    assert net.update(5) == {"a": "10000000", "b": "1100"}
    assert net.update(7) == {"a": "10000000", "b": "1100"}


def test_gmp_over_all_layers_cannot_keep_fewer_weights_than_layers():
    layers = {"a": ("1111", [1.0] * 4), "b": ("1111", [1.0] * 4)}
    net = Net("gmp", layers, kept={"a": 1, "b": 0}, begin=0.0, end=1.0, scope="global")
    with pytest.raises(ValueError, match="1 weights for 2 layers that keep 1 or more"):
        net.update(7)


def test_a_diverged_weight_ends_gmp_over_all_layers():
    with pytest.raises(NonFinite, match="a score is NaN"):
        pruned("global", [1.0, 2.0, NAN, 3.0], [1.0, 2.0, 3.0, 4.0])


# reset_regrown: of test_methods_hand's layer 2 and 5 are dropped; by gradient 2 returns, 6 is new


def returned(reset):
    toy = Toy("rigl", MASK, WEIGHT, MOMENT, t_end=1.0, reset_regrown=reset, **HALFWAY)
    assert toy.update(3, GRAD) == "1010101100"
    return toy


def test_rigl_a_dropped_weight_that_returns_starts_anew_only_where_asked():
    kept, reset = returned(False), returned(True)
    assert kept.weight[2] == torch.tensor(WEIGHT)[2]
    assert kept.momentum[2] == MOMENT[2]
    assert reset.weight[2] == 0
    assert reset.momentum[2] == 0
    others = [0, 4, 6, 7]  # 6 is new in both, the others were never dropped
    assert torch.equal(reset.weight[others], torch.tensor([0.5, 0.9, 0.0, -0.4]))
    assert [reset.momentum[i] for i in others] == [1.0, 3.0, 0.0, 5.0]


def test_set_a_dropped_weight_that_returns_starts_anew_only_where_asked():
    back = 0
    for seed in range(30):
        fields = {"seed": seed, "t_end": 1.0, **HALFWAY}
        kept = Toy("set", MASK, WEIGHT, MOMENT, **fields)
        reset = Toy("set", MASK, WEIGHT, MOMENT, reset_regrown=True, **fields)
        after = reset.update(3)
        assert kept.update(3) == after  # the masks are the same, the values are not
        for index in (2, 5):
            assert reset.weight[index] == reset.momentum[index] == 0
            if after[index] == "1":
                back += 1
                assert kept.weight[index] == torch.tensor(WEIGHT)[index]
                assert kept.momentum[index] == MOMENT[index]
        assert torch.equal(reset.weight[[0, 4, 7]], torch.tensor([0.5, 0.9, -0.4]))
        assert [reset.momentum[i] for i in (0, 4, 7)] == [1.0, 3.0, 5.0]
    assert back > 0


@pytest.mark.parametrize("name", ["rigl", "set"])
def test_a_dense_layers_smallest_weights_start_anew_at_each_update(name):
    # 0.4 of 8, rounded up: 4. The smallest magnitudes: 1 2 5 3; all of them return, there is
    # nowhere else to grow
    weight = [0.5, 0.1, -0.1, 0.3, 0.9, 0.2, -0.7, -0.4]
    toy = Toy(name, "1" * 8, weight, weight, t_end=1.0, reset_regrown=True, **HALFWAY)
    assert toy.update(3, [0.0] * 8) == "1" * 8
    expected = torch.tensor([0.5, 0.0, 0.0, 0.0, 0.9, 0.0, -0.7, -0.4])
    assert torch.equal(toy.weight, expected)
    assert torch.equal(torch.tensor(toy.momentum), expected)


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("gmp", {"scope": "network"}, "scope = 'network'; valid: layer, global"),
        (
            "snfs",
            {"redistribution": "gradient"},
            "redistribution = 'gradient'; valid: none, momentum",
        ),
        (
            "rigl",
            {"redistribution": "grad"},
            "redistribution = 'grad'; valid: none, gradient, momentum",
        ),
        (
            "rigl",
            {"redistribution": "momentum", "reset_regrown": True},
            "reset_regrown = True; valid: false with redistribution = 'momentum'",
        ),
        (
            "set",
            {"reset_regrown": True, "regrow_dropped": False},
            "reset_regrown = True; valid: false with regrow_dropped = false",
        ),
        ("set", {"reset_regrown": "yes"}, "reset_regrown = 'yes'; valid: a bool"),
    ],
)
def test_a_bad_value_of_a_variant_is_refused_by_name(name, fields, message):
    with pytest.raises(UsageError, match=rf"^method {name}: {message}$"):
        registry.resolve_fields(name, fields)
