"""One global ranking and SET+, on layers of 8 to 20 weights that one can check by eye."""

import pytest
import torch
from test_methods_hand import HALFWAY, MASK, WEIGHT, Toy, bits
from torch import nn

from resparse import registry
from resparse.masks import Layer, Masks
from resparse.method import Parent
from resparse.rules import keep_largest, reinitialise


def text(masks):
    """Masks as strings of bits."""
    return {n: "".join("01"[int(bit)] for bit in mask.flatten()) for n, mask in masks.items()}


# 14 weights in three layers: c's are the smallest, then b's
SCORES = {
    "a": torch.tensor([9.0, 2.0, 8.0, 3.0, 7.0, 6.0, 5.5, 5.0]),
    "b": torch.tensor([4.0, 1.0, 4.5, 0.5]),
    "c": torch.tensor([0.1, 0.2]),
}


def test_the_largest_of_all_layers_stay():
    # in order: 9 8 7 6 5.5 5 | 4.5 4 | 3 2 | 1 .5 | .2 .1: the first 13 leave out 0.1 only
    kept = keep_largest(SCORES, 13)
    assert text(kept.masks) == {"a": "1" * 8, "b": "1111", "c": "01"}
    assert kept.starved == []


def test_a_starved_layer_keeps_its_best_and_the_others_share_the_rest():
    # 9 of all: 9 8 7 6 5.5 5 4.5 4 3, none of c. c keeps 0.2; the other 8 lose the 3
    kept = keep_largest(SCORES, 9)
    assert text(kept.masks) == {"a": "10101111", "b": "1010", "c": "01"}
    assert kept.starved == ["c"]


def test_a_layer_starved_by_anothers_share_is_found_when_the_rest_is_shared_again():
    # 7 of all: 9 8 7 6 5.5 5 4.5: b has one, c none. c takes one of the 7; of the other 6 (9 8 7 6
    # 5.5 5) none is b's: b keeps 4.5, and 5 are left for a
    kept = keep_largest(SCORES, 7)
    assert text(kept.masks) == {"a": "10101110", "b": "0010", "c": "01"}
    assert kept.starved == ["c", "b"]


def test_a_layer_keeps_as_many_as_asked_or_all_it_has():
    # at least 3 each; c has 2. 9 of all give a 7, b 2: c short, b short at once: 2 + 3, 4 for a
    kept = keep_largest(SCORES, 9, at_least=3)
    assert text(kept.masks) == {"a": "10101100", "b": "1110", "c": "11"}
    assert sorted(kept.starved) == ["b", "c"]


def test_the_smallest_budget_gives_every_layer_its_share_and_one_less_is_refused():
    assert text(keep_largest(SCORES, 3).masks) == {"a": "10000000", "b": "0010", "c": "01"}
    with pytest.raises(ValueError, match="2 weights for 3 layers that keep 1 or more"):
        keep_largest(SCORES, 2)
    with pytest.raises(ValueError, match="7 weights for 3 layers that keep 3 or more"):
        keep_largest(SCORES, 7, at_least=3)
    assert text(keep_largest(SCORES, 8, at_least=3).masks)["c"] == "11"


def test_at_least_0_lets_a_layer_die_and_the_masks_refuse_it_by_name():
    kept = keep_largest(SCORES, 9, at_least=0)
    assert text(kept.masks) == {"a": "10111111", "b": "1010", "c": "00"}
    assert kept.starved == []
    weights = {name: nn.Parameter(torch.ones_like(score)) for name, score in SCORES.items()}
    with pytest.raises(ValueError, match=r"layer c: .* \(layer collapse\)"):
        Masks(weights, kept.masks)


def test_only_a_given_pool_is_ranked():
    pool = {"a": bits("01010000"), "b": bits("1111"), "c": bits("10")}
    kept = keep_largest(SCORES, 5, among=pool)
    assert text(kept.masks) == {"a": "01010000", "b": "1010", "c": "10"}
    assert kept.starved == ["c"]  # 4.5 4 3 2 and 1 else


def test_ties_of_a_global_ranking_go_to_the_first_layer_and_the_lowest_index():
    scores = {name: torch.ones(4) for name in ("a", "b", "c")}
    assert text(keep_largest(scores, 6).masks) == {"a": "1111", "b": "1000", "c": "1000"}


# snip and lth: 20 weights in two layers


def one_shot(name, first=None, weights=None, total=8, **fields):
    """The method and its masks on layers a (12 weights) and b (8), with ``total`` to keep."""
    sizes = {"a": 12, "b": 8}
    parent = Parent(
        masks={n: torch.ones(s, dtype=torch.bool) for n, s in sizes.items()},
        train_flops=7.0,
        step=0,
        weights=weights or {},
    )
    method = registry.load(name)(
        densities=dict.fromkeys(sizes, total / 20),
        sizes=sizes,
        total_steps=8,
        rng=torch.Generator(),
        parent=parent if weights else None,
        **fields,
    )
    full = {n: torch.ones(s, dtype=torch.bool) for n, s in sizes.items()}
    if first is None:
        first = {n: (torch.full((s,), 99.0), None) for n, s in sizes.items()}
    layers = {n: Layer(full[n], full[n], w, g) for n, (w, g) in first.items()}
    return method, text(method.init_masks(layers))


TICKET = {
    "a": torch.tensor([0.1, -3.0, 0.2, 2.5, -0.3, 0.0, 1.0, -1.1, 0.4, 0.5, -0.6, 0.7]),
    "b": torch.tensor([-9.0, 0.9, -0.8, 8.0, 0.05, -4.0, 0.02, 0.75]),
}


@pytest.mark.parametrize("name", ["lth", "lth_set_itop"])
def test_the_ticket_is_the_parents_largest_magnitudes_over_all_layers(name):
    # by magnitude: b -9, b 8, b -4, a -3, a 2.5, a -1.1, a 1.0, b 0.9: four of a, four of b, though
    # a is larger; the start's own weights, 99 everywhere, are not looked at
    method, masks = one_shot(name, weights=TICKET)
    assert masks == {"a": "010100110000", "b": "11010100"}
    assert method.nnz_at(-1) == method.nnz_at(7) == {"a": 4, "b": 4}
    assert method.state["starved"].tolist() == [False, False]
    # with the signs, b 0.75, a 0.7 and a 0.5 would stand in for the negative four
    assert masks["b"][5] == masks["a"][1] == "1"


@pytest.mark.parametrize("name", ["snip", "snip_set_itop"])
def test_snip_keeps_the_largest_products_of_weight_and_gradient_over_all_layers(name):
    # |w g|: a 6 1 0 8 .5 0 0 3 0 0 0 .1 (weight 2 0.1 .. by gradient), b 0 7 .2 5 .4 .3 0 9
    weight = {
        "a": torch.tensor([2.0, 0.1, 50.0, -1.0, 5.0, 0.0, 0.0, 3.0, 9.0, 0.0, 1.0, 0.1]),
        "b": torch.tensor([4.0, 7.0, 0.2, -0.5, 4.0, 3.0, 0.0, -9.0]),
    }
    grad = {
        "a": torch.tensor([-3.0, 10.0, 0.0, 8.0, 0.1, 70.0, 60.0, -1.0, 0.0, 50.0, 0.0, 1.0]),
        "b": torch.tensor([0.0, -1.0, 1.0, 10.0, 0.1, -0.1, 99.0, -1.0]),
    }
    # the largest eight: b 9, a 8, b 7, a 6, b 5, a 3, a 1, a 0.5. By |g| alone a 5 6 9 and b 6
    # would come, by |w| alone a 2 and 8 and b 0; by the signed product only the four above 0
    method, masks = one_shot(name, {n: (weight[n], grad[n]) for n in weight})
    assert masks == {"a": "110110010000", "b": "01010001"}
    assert method.nnz_at(-1) == {"a": 5, "b": 3}
    # "b" with tiny gradients is starved and keeps its best, index 7 (9 to 7 and 5)
    tiny = {"a": (weight["a"], grad["a"]), "b": (weight["b"], grad["b"] * 1e-6)}
    method, masks = one_shot(name, tiny, total=6)
    assert masks == {"a": "110110010000", "b": "00000001"}
    assert method.state["starved"].tolist() == [False, True]
    assert one_shot(name, tiny, total=6, at_least=0)[1]["b"] == "00000000"


@pytest.mark.parametrize("name", ["snip", "snip_set_itop"])
def test_snip_by_layer_keeps_each_layers_own_count(name):
    # |w g|: a 12 11 .. 1, b 0.8 .. 0.1: half of each; together the largest ten are all of a
    first = {
        "a": (-torch.arange(12.0, 0.0, -1.0), torch.ones(12)),
        "b": (torch.arange(1.0, 9.0), torch.full((8,), -0.1)),
    }
    method, masks = one_shot(name, first, total=10, scope="layer")
    assert masks == {"a": "111111000000", "b": "00001111"}
    assert method.nnz_at(-1) == {"a": 6, "b": 4}
    assert method.state["starved"].tolist() == [False, False]
    assert one_shot(name, first, total=10)[1]["b"] == "00000001"


@pytest.mark.parametrize("name", ["lth", "lth_set_itop"])
def test_a_ticket_of_convolutions_leaves_linear_layers_dense(name):
    # 10 of 20 weights: the linear layer's 4 all stay, however small; of the convolutions' 12 and 4
    # the largest six: a's 12 to 9 and b's 30 and 20
    weights = {
        "a": torch.arange(12.0, 0.0, -1.0).view(3, 1, 2, 2),
        "fc": torch.full((2, 2), 0.001),
        "b": torch.tensor([30.0, 0.1, -20.0, 0.2]).view(1, 1, 2, 2),
    }
    full = {n: torch.ones_like(w, dtype=torch.bool) for n, w in weights.items()}
    parent = Parent(masks=full, train_flops=7.0, step=0, weights=weights)

    def ticket(kept, names=tuple(weights)):
        sizes = {n: weights[n].numel() for n in names}
        method = registry.load(name)(
            densities=dict.fromkeys(names, kept / 20),
            sizes=sizes,
            total_steps=8,
            rng=torch.Generator(),
            parent=parent,
            scope="convolutions",
        )
        return method, text(method.init_masks({n: Layer(full[n], full[n], None) for n in names}))

    method, masks = ticket(10)
    assert list(masks.items()) == [("a", "111100000000"), ("fc", "1111"), ("b", "1010")]
    assert method.nnz_at(-1) == {"a": 4, "fc": 4, "b": 2}
    with pytest.raises(ValueError, match="1 weights for 2 layers that keep 1 or more"):
        ticket(5)
    with pytest.raises(ValueError, match="scope = 'convolutions'; valid: all, without a conv"):
        ticket(10, names=["fc"])


@pytest.mark.parametrize(
    ("name", "field", "value", "valid"),
    [
        ("snip", "scope", "all", "global, layer"),
        ("lth", "scope", "layer", "all, convolutions"),
        ("snip", "at_least", -1, "0 or more weights a layer"),
        ("lth", "at_least", -1, "0 or more weights a layer"),
        ("snip_set_itop", "at_least", -1, "0 or more weights a layer"),
        ("snip_set_itop", "interval", 0, "1 or more steps"),
        ("lth_set_itop", "alpha", 0.0, "above 0, at most 1"),
        ("lth_set_itop", "floor", 0.9, "from 0 to alpha"),
        ("set_plus", "interval", 0, "1 or more steps"),
        ("set_itop", "alpha", 1.5, "above 0, at most 1"),
        ("snip", "reinit", "he", "none, xavier_normal"),
    ],
)
def test_a_bad_value_of_a_family_is_refused_by_name(name, field, value, valid):
    weights = TICKET if name.startswith("lth") else None
    with pytest.raises(ValueError, match=f"^{field} = {value!r}; valid: {valid}"):
        one_shot(name, weights=weights, **{field: value})


def test_a_redrawn_copy_has_xaviers_spread_and_keeps_what_is_no_weight():
    model = nn.Sequential(nn.Conv2d(8, 24, 3), nn.BatchNorm2d(24), nn.Linear(30, 50))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    reinitialise(model, "none", torch.Generator())
    assert all(torch.equal(tensor, before[n]) for n, tensor in model.state_dict().items())
    everyones = torch.get_rng_state()
    reinitialise(model, "xavier_normal", torch.Generator().manual_seed(1))
    assert torch.equal(torch.get_rng_state(), everyones)
    drawn = model.state_dict()
    changed = {name for name in before if not torch.equal(drawn[name], before[name])}
    assert changed == {"0.weight", "2.weight"}
    # std sqrt(2 / (fan_in + fan_out)): 9 x 8 and 9 x 24; 30 and 50. 1,500 draws: within 2 % or so
    assert float(drawn["0.weight"].std()) == pytest.approx((2 / 288) ** 0.5, rel=0.06)
    assert float(drawn["2.weight"].std()) == pytest.approx((2 / 80) ** 0.5, rel=0.06)
    # normal: 8.3 % beyond sqrt(3) standard deviations, where a uniform draw of that spread ends
    for name in changed:
        beyond = (drawn[name].abs() > 3**0.5 * drawn[name].std()).float().mean()
        assert float(beyond) == pytest.approx(0.083, abs=0.03)


# SET+: index 2 and 5 go, as in test_methods_hand; of 1 2 3 5 6 8 9 two grow


def plus(ever, seed):
    toy = Toy("set_plus", MASK, WEIGHT, seed=seed, **HALFWAY)
    toy.masks.ever["fc"] = bits(ever)
    return toy.method.update_masks(3, toy.layers())["fc"].mask


def grown(ever):
    """All pairs that grow over many seeds, as sorted index tuples with their counts."""
    pairs = {}
    for seed in range(120):
        mask = plus(ever, seed)
        assert int(mask.sum()) == 5
        assert mask[[0, 4, 7]].all()
        pair = tuple((mask & ~bits("1000100100")).nonzero().flatten().tolist())
        pairs[pair] = pairs.get(pair, 0) + 1
    return pairs


def test_set_plus_grows_only_never_active_weights_while_there_are_enough():
    # 1, 3 and 8 were never active: one of their three pairs, each about 40 of 120 times (std 5.2)
    pairs = grown("1010111101")
    assert set(pairs) == {(1, 3), (1, 8), (3, 8)}
    assert min(pairs.values()) > 40 - 4 * 5.2


def test_set_plus_takes_all_never_active_weights_and_the_remainder_at_random():
    # only 8 was never active: it grows always, with one of 1 2 3 5 6 9 at random, just-dropped 2
    # and 5 among them: about 20 of 120 each (std 4.1)
    pairs = grown("1111111101")
    assert set(pairs) == {(1, 8), (2, 8), (3, 8), (5, 8), (6, 8), (8, 9)}
    assert min(pairs.values()) > 20 - 4 * 4.1


def test_set_plus_explores_exactly_what_it_announces():
    # 5 of 10 active; t = 2 4 6 8 of 8 grow ceil(.8 x (.854 .5 .146 0) x 5) = 4 2 1 0: of the five
    # never active 4, then the last 1, then none
    toy = Toy("set_plus", MASK, WEIGHT, **HALFWAY)
    announced = [toy.method.random_growth_at(step)["fc"] for step in (1, 3, 5, 7)]
    assert announced == [(4, 5), (1, 1), (0, 0), (0, 0)]
    assert toy.method.random_growth_at(2) == {}
    explored = []
    for step in (1, 3, 5, 7):
        toy.update(step)
        explored.append(toy.masks.explored())
    assert explored == [0.9, 1.0, 1.0, 1.0]
