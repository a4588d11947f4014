"""Selection, drop and grow, and the one writer of masks, weights outside them and moments."""

import pytest
import torch
from torch import nn

from resparse.masks import Change, Masks, drop_and_grow, drop_count, grow_count, top_k


def bits(text):
    return torch.tensor([character == "1" for character in text])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


# selection


def test_top_k_takes_the_largest_and_the_first_of_equals():
    score = torch.tensor([2.0, 5.0, 2.0, -1.0, 5.0, 2.0])
    assert torch.equal(top_k(score, 0), bits("000000"))
    assert torch.equal(top_k(score, 1), bits("010000"))  # 5 twice: index 1
    assert torch.equal(top_k(score, 4), bits("111010"))  # 5, 5, and the first two of 2, 2, 2
    assert torch.equal(top_k(score, 6), bits("111111"))


def test_top_k_looks_only_among_the_candidates_and_keeps_the_shape():
    score = torch.tensor([[9.0, 1.0, 3.0], [8.0, 2.0, 3.0]])
    among = torch.tensor([[False, True, True], [False, True, True]])
    expected = torch.tensor([[False, False, True], [False, True, True]])
    assert torch.equal(top_k(score, 3, among=among), expected)


def test_top_k_ties_by_generator_reach_every_equal_score_and_no_other():
    score = torch.tensor([7.0, 0.0, 0.0, 0.0, -1.0])
    seen = {tuple(top_k(score, 2, ties=generator(s)).tolist()) for s in range(40)}
    assert seen == {tuple(bits(t).tolist()) for t in ("11000", "10100", "10010")}


def test_top_k_refuses_too_many_and_nan_but_ignores_nan_outside_the_candidates():
    score = torch.tensor([1.0, float("nan"), 2.0])
    with pytest.raises(ValueError, match="cannot choose 3 of 2 candidate"):
        top_k(score, 3, among=bits("101"))
    with pytest.raises(ValueError, match="cannot choose -1"):
        top_k(score, -1)
    with pytest.raises(ValueError, match="NaN"):
        top_k(score, 1)
    assert torch.equal(top_k(score, 1, among=bits("101")), bits("001"))


def test_counts_by_hand():
    assert drop_count(0.3, 10) == 3
    assert drop_count(0.07, 100) == 7  # 7.000000000000001 in doubles, still 7
    assert drop_count(0.28, 25) == 7
    assert drop_count(0.31, 10) == 4  # rounded up
    assert drop_count(0.005, 3) == 1  # a floor above 0 always moves something
    assert drop_count(0.0, 10) == 0
    assert drop_count(1.0, 7) == 7
    assert grow_count(0.5, 6, 8) == 3  # the three dropped and two empty places are candidates
    assert grow_count(0.5, 6, 8, regrow_dropped=False) == 2  # only two empty places
    assert grow_count(0.5, 4, 8, regrow_dropped=False) == 2
    assert grow_count(0.5, 8, 8, regrow_dropped=False) == 0  # a dense layer stands still


def test_drop_and_grow_by_hand():
    # drop 0.5 of 4: keep scores 1 (index 2) and 2 (index 5) go. Of 1, 2, 3, 5, 6, 7 the highest
    # growth scores are 8 (index 6) and 7 (index 2, back at once); 9s on 0 and 4 are no candidates.
    mask = bits("10101100")
    keep = torch.tensor([3.0, 0.0, 1.0, 0.0, 4.0, 2.0, 0.0, 0.0])
    grow = torch.tensor([9.0, 1.0, 7.0, 2.0, 9.0, 3.0, 8.0, 4.0])
    change = drop_and_grow(mask, keep, grow, 0.5, ties=generator())
    assert torch.equal(change.mask, bits("10101010"))
    assert change.reset is None
    # without the dropped, the next highest is 4 (index 7)
    change = drop_and_grow(mask, keep, grow, 0.5, ties=generator(), regrow_dropped=False)
    assert torch.equal(change.mask, bits("10001011"))


def test_drop_ties_go_by_lowest_index():
    # all keep scores equal: indices 0 and 2 are the first two active ones
    grow = torch.tensor([0.0, 5.0, 0.0, 6.0, 0.0, 0.0])
    change = drop_and_grow(bits("101011"), torch.ones(6), grow, 0.5, ties=generator())
    assert torch.equal(change.mask, bits("010111"))


def test_drop_and_grow_keeps_the_exact_count_even_with_zero_scores_everywhere():
    # a gradient of zeros: growth that sorts |g| * (mask == 0) would pick active weights here
    mask = top_k(torch.rand(60, generator=generator()), 23).view(6, 10)
    zeros = torch.zeros(6, 10)
    for fraction in (0.0, 0.01, 0.3, 0.77, 1.0):
        for regrow in (True, False):
            new = drop_and_grow(
                mask, zeros, zeros, fraction, ties=generator(), regrow_dropped=regrow
            ).mask
            assert int(new.sum()) == 23
    assert torch.equal(drop_and_grow(mask, zeros, zeros, 0.0, ties=generator()).mask, mask)


# installation


def toy(mask_text="110010", momentum=None):
    """A layer of six weights 1..6 under a mask, and SGD with the given momentum buffer."""
    weight = nn.Parameter(torch.arange(1.0, 7.0))
    masks = Masks({"fc": weight}, {"fc": bits(mask_text)})
    optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9)
    if momentum is not None:
        optimizer.state[weight]["momentum_buffer"] = torch.tensor(momentum)
    return weight, masks, optimizer


def test_the_first_masks_zero_the_weights_outside_and_keep_the_others():
    weight, masks, _ = toy("110010")
    assert weight.tolist() == [1.0, 2.0, 0.0, 0.0, 5.0, 0.0]
    assert masks.nnz() == {"fc": 3}


def test_by_default_newly_active_weights_start_at_zero_with_zero_momentum():
    weight, masks, optimizer = toy("110010", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    with torch.no_grad():
        weight.copy_(torch.arange(1.0, 7.0))  # also where nothing should be
    masks.install({"fc": Change(bits("011001"))}, optimizer)
    # 1 stays; 2 and 5 are new: zero although they held 3 and 6; 0 and 4 are out: zero
    assert weight.tolist() == [0.0, 2.0, 0.0, 0.0, 0.0, 0.0]
    buffer = optimizer.state[weight]["momentum_buffer"]
    assert torch.equal(buffer, torch.tensor([0.0, 0.2, 0.0, 0.0, 0.0, 0.0]))


def test_an_explicit_reset_says_where_weights_and_moments_restart():
    weight, masks, optimizer = toy("110010", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    masks.install({"fc": Change(bits("110011"), reset=bits("010000"))}, optimizer)
    # 1 stays active and restarts; 5 is new and, not named, keeps its moment (its weight was 0)
    assert weight.tolist() == [1.0, 0.0, 0.0, 0.0, 5.0, 0.0]
    buffer = optimizer.state[weight]["momentum_buffer"]
    assert torch.equal(buffer, torch.tensor([0.1, 0.0, 0.0, 0.0, 0.5, 0.6]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_what_falls_outside_becomes_plus_zero_whatever_it_was(dtype):
    odd = torch.tensor([-1.0, float("nan"), float("inf"), -0.0, -2.0, float("-inf")], dtype=dtype)
    weight = nn.Parameter(odd.clone())
    masks = Masks({"fc": weight}, {"fc": bits("000111")})
    assert torch.equal(weight[3:], odd[3:])  # inside, nothing is touched
    for tensor, sign in ((weight[:3], [False] * 3), (weight[3:4], [True])):
        assert not tensor.any()
        assert tensor.signbit().tolist() == sign
    masks.install({"fc": Change(bits("110010"))}, None)
    assert weight.tolist() == [0.0, 0.0, 0.0, 0.0, -2.0, 0.0]
    assert not weight.signbit()[[0, 1, 2, 3, 5]].any()


def test_both_moments_of_adam_restart_and_its_step_count_does_not():
    weight = nn.Parameter(torch.arange(1.0, 7.0))
    masks = Masks({"fc": weight}, {"fc": bits("111100")})
    optimizer = torch.optim.AdamW([weight], lr=0.1)
    weight.grad = torch.ones(6)
    optimizer.step()
    masks.install({"fc": Change(bits("011110"))}, optimizer)
    state = optimizer.state[weight]
    for moment in ("exp_avg", "exp_avg_sq"):
        assert (state[moment] != 0).tolist() == bits("011100").tolist()
    assert state["step"] == 1


def test_masks_do_not_alias_what_was_handed_in():
    mask = bits("110010")
    weight = nn.Parameter(torch.ones(6))
    masks = Masks({"fc": weight}, {"fc": mask})
    mask.fill_(True)
    assert torch.equal(masks.mask["fc"], bits("110010"))
    assert masks.nnz() == {"fc": 3}


def test_gradients_are_masked_in_place_by_the_mask_of_today():
    weight, masks, optimizer = toy("110010")
    weight.grad = torch.arange(1.0, 7.0)
    masks.mask_gradients()
    assert weight.grad.tolist() == [1.0, 2.0, 0.0, 0.0, 5.0, 0.0]
    masks.install({"fc": Change(bits("001001"))}, optimizer)
    weight.grad = torch.arange(1.0, 7.0)
    masks.mask_gradients()
    assert weight.grad.tolist() == [0.0, 0.0, 3.0, 0.0, 0.0, 6.0]


def test_explored_is_the_union_of_all_masks_over_all_layers():
    first, second = nn.Parameter(torch.ones(6)), nn.Parameter(torch.ones(2, 2))
    masks = Masks({"a": first, "b": second}, {"a": bits("110000"), "b": bits("1000").view(2, 2)})
    assert masks.explored() == 3 / 10
    masks.install({"a": Change(bits("011000"))}, None)  # one new
    assert masks.explored() == 4 / 10
    masks.install({"a": Change(bits("110000")), "b": Change(bits("0110").view(2, 2))}, None)
    assert masks.explored() == 6 / 10  # a went back: nothing new; b two new
    assert torch.equal(masks.ever["a"], bits("111000"))
    assert torch.equal(masks.mask["a"], bits("110000"))


def test_check_counts_raises_for_one_weight_too_many_or_too_few():
    _, masks, _ = toy("110010")
    masks.check_counts({"fc": 3})
    masks.check_counts(3)
    for wrong in (2, 4):
        with pytest.raises(RuntimeError, match=f"^layer fc: 3 active weights, {wrong}"):
            masks.check_counts({"fc": wrong})
        with pytest.raises(RuntimeError, match=f"^3 active weights, {wrong} announced"):
            masks.check_counts(wrong)


def test_the_digest_changes_with_one_bit_and_comes_back():
    _, masks, _ = toy("110010")
    before = masks.digest()
    masks.install({"fc": Change(bits("110001"))}, None)
    assert masks.digest() != before
    masks.install({"fc": Change(bits("110010"))}, None)
    assert masks.digest() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (Change(bits("000000")), "layer fc: the new mask keeps no weight"),
        (Change(torch.ones(6)), r"layer fc: mask is torch\.float32 of shape \(6,\)"),
        (Change(bits("11001")), r"layer fc: mask is torch\.bool of shape \(5,\).*\(6,\)"),
        (Change(bits("110010"), bits("1")), r"layer fc: reset is torch\.bool of shape \(1,\)"),
        (Change(bits("110010"), torch.ones(6)), r"layer fc: reset is torch\.float32"),
    ],
)
def test_bad_changes_are_refused_and_change_nothing(change, message):
    weight, masks, optimizer = toy("110010")
    before = weight.detach().clone()
    with pytest.raises(ValueError, match=message):
        masks.install({"fc": change}, optimizer)
    assert torch.equal(weight, before)
    assert torch.equal(masks.mask["fc"], bits("110010"))
    with pytest.raises(ValueError, match="layer fc"):
        Masks({"fc": nn.Parameter(torch.ones(6))}, {"fc": change.mask[:5]})


def sgd(weights):
    return torch.optim.SGD(weights, lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)


def adamw(weights):
    return torch.optim.AdamW(weights, lr=0.01, weight_decay=0.1)


@pytest.mark.parametrize("make_optimizer", [sgd, adamw])
def test_nothing_leaks_outside_the_mask_in_twenty_steps(make_optimizer):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 4))
    weights = {"0": model[0].weight, "2": model[2].weight}
    rng = generator()
    masks = Masks(
        weights, {n: top_k(torch.rand(w.shape, generator=rng), 11) for n, w in weights.items()}
    )
    optimizer = make_optimizer(model.parameters())
    start = {name: weight.detach().clone() for name, weight in weights.items()}
    for step in range(20):
        optimizer.zero_grad()
        model(torch.randn(16, 12, generator=rng)).square().mean().backward()
        if step == 10:  # a mask update in place of the step, by the dense gradient
            layers = masks.layers({n: w.grad.clone() for n, w in weights.items()}, optimizer)
            changes = {
                n: drop_and_grow(x.mask, x.weight.abs(), x.grad.abs(), 0.5, ties=rng)
                for n, x in layers.items()
            }
            assert any(not torch.equal(changes[n].mask, masks.mask[n]) for n in weights)
            masks.install(changes, optimizer)
        else:
            masks.mask_gradients()
            optimizer.step()
        for name, weight in weights.items():
            outside = ~masks.mask[name]
            tensors = [t for t in optimizer.state[weight].values() if t.shape == weight.shape]
            assert len(tensors) == (1 if make_optimizer is sgd else 2)
            for tensor in (weight, *tensors):
                assert bool((tensor[outside] == 0).all()), (step, name)
    for name, weight in weights.items():  # and inside it really trained
        assert masks.nnz()[name] == 11
        assert bool((weight != start[name])[masks.mask[name]].all())
        assert bool((weight != 0)[masks.mask[name]].all())


def test_layers_show_masks_weights_gradients_and_the_first_moment():
    weight, masks, optimizer = toy("110010", [0.1, 0.2, 0.0, 0.0, 0.5, 0.0])
    masks.install({"fc": Change(bits("011010"))}, optimizer)
    gradient = torch.full((6,), 7.0)
    layer = masks.layers({"fc": gradient}, optimizer)["fc"]
    assert torch.equal(layer.mask, bits("011010"))
    assert torch.equal(layer.ever, bits("111010"))
    assert torch.equal(layer.weight, weight)
    assert not layer.weight.requires_grad
    assert torch.equal(layer.grad, gradient)
    assert layer.momentum is optimizer.state[weight]["momentum_buffer"]
    bare = masks.layers(None, torch.optim.SGD([weight], lr=0.1))["fc"]
    assert bare.grad is None
    assert bare.momentum is None
