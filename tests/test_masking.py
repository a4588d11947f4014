"""Gradients that are looked at and masked in one pass: the same bits, and as finite, as in two."""

import pytest
import torch
from conftest import counts_of, make_run
from torch import nn

from resparse import storage
from resparse.beginning import start
from resparse.data import digits
from resparse.engine import masking
from resparse.how import How
from resparse.masks import Masks
from resparse.storage import MANY, masked_sum
from resparse.trainer import train_steps
from resparse.watch import Diverged

BAD = [float("nan"), float("inf"), -float("inf")]


def drawn(count, kind=torch.float32, density=0.3):
    """A gradient, negative zeros and subnormal numbers in it, and a mask."""
    rng = torch.Generator().manual_seed(count)
    grad = torch.randn(count, generator=rng, dtype=kind)
    grad[::7], grad[3::11] = -0.0, 1e-42
    return grad, torch.rand(count, generator=rng) < density


def bits(tensor):
    return tensor.view(torch.uint8)


@pytest.mark.parametrize("kind", storage.COMPILED)
@pytest.mark.parametrize(
    "count", [1, 15, masking.PART - 1, masking.PART, masking.PART + 1, 3 * masking.PART + 77]
)
def test_the_compiled_way_leaves_the_bits_of_a_product(count, kind):
    grad, mask = drawn(count, kind)
    expected, total = grad * mask.to(kind), grad.double().sum()
    found = masking.masked_sum(grad, mask)
    assert torch.equal(bits(grad), bits(expected))
    assert (found.dtype, found.shape) == (kind, ())
    torch.testing.assert_close(found.double(), total, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("at", [0, masking.PART - 1, masking.PART, 2 * masking.PART + 4])
@pytest.mark.parametrize("kept", [True, False])
def test_one_bad_number_anywhere_is_in_the_sum(at, kept, value):
    """Outside the mask too: there the product is NaN, and no weight is to get it."""
    grad, mask = drawn(2 * masking.PART + 5)
    grad[at], mask[at] = value, kept
    assert not masking.masked_sum(grad, mask).isfinite()


def test_two_of_opposite_signs_do_not_cancel():
    grad, mask = drawn(2 * masking.PART)
    grad[5], grad[masking.PART + 5] = float("inf"), -float("inf")
    assert masking.masked_sum(grad, mask).isnan()


def test_threads_change_no_bit():
    before, (grad, mask) = torch.get_num_threads(), drawn(5 * masking.PART + 3)
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            other = grad.clone()
            found.append((masking.masked_sum(other, mask), other))
    finally:
        torch.set_num_threads(before)
    (one, first), (other, second) = found
    assert one.equal(other)
    assert first.equal(second)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(8, MANY // 8), (8, MANY // 8 - 1)])
def test_what_is_not_given_to_the_compiled_loop_comes_out_the_same(shape, kind, monkeypatch):
    """Few numbers, half precision, and a gradient whose memory does not run as its mask's."""
    calls, real = [], masking.masked_sum
    monkeypatch.setattr(masking, "masked_sum", lambda *given: calls.append(1) or real(*given))
    flat, mask = drawn(shape[0] * shape[1], kind)
    mask = mask.view(shape)
    for turned in (False, True):
        grad = flat.clone().view(shape)
        grad = grad.t().contiguous().t() if turned else grad
        expected, total = grad * mask, grad.sum()
        calls.clear()
        found = masked_sum(grad, mask, mask.to(kind))
        assert torch.equal(grad, expected)
        torch.testing.assert_close(found, total, rtol=1e-3, atol=1e-3)
        compiled = not turned and grad.numel() >= MANY and kind == torch.float32
        assert bool(calls) == compiled


def test_sums_are_of_all_parameters_and_only_masked_layers_are_masked():
    network = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    weights = {"0": network[0].weight, "1": network[1].weight}
    full = torch.ones(2, 3, dtype=torch.bool)
    masks = Masks(weights, {"0": torch.arange(12).view(3, 4) % 2 == 0, "1": full})
    for parameter in network.parameters():
        parameter.grad = torch.arange(1.0, 1 + parameter.numel()).view(parameter.shape)
    sums = masks.masked_sums(network.named_parameters())
    assert {name: float(total) for name, total in sums.items()} == {
        **{"0.weight": 78.0, "0.bias": 6.0},  # as they were before
        **{"1.weight": 21.0, "1.bias": 3.0},
    }
    assert network[0].weight.grad.flatten().tolist() == [1, 0, 3, 0, 5, 0, 7, 0, 9, 0, 11, 0]
    assert network[1].weight.grad.flatten().tolist() == [1, 2, 3, 4, 5, 6]
    assert network[0].bias.grad.tolist() == [1, 2, 3]


class Alias(nn.Module):
    """A layer whose weight is a parameter of the network, under a name of its own."""

    def __init__(self):
        super().__init__()
        self.shared = nn.Parameter(torch.randn(8, 8))
        self.layer = nn.Linear(8, 8)
        self.layer.weight = self.shared


def tied():
    """Two layers of one weight."""
    network = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    network[1].weight = network[0].weight
    return network


@pytest.mark.parametrize("make", [lambda: nn.Linear(8, 8), Alias, tied])
def test_layers_are_known_by_their_weights_whatever_the_name(make):
    """A network that is its only layer, a weight named elsewhere first, one of two layers."""
    network = make()
    layers = {n: m for n, m in network.named_modules() if isinstance(m, nn.Linear)}
    weights = {name: module.weight for name, module in layers.items()}
    rng = torch.Generator().manual_seed(0)
    masks = Masks(weights, {name: torch.rand(8, 8, generator=rng) < 0.5 for name in weights})
    found = []
    for mask in (masks.mask_gradients, lambda: masks.masked_sums(network.named_parameters())):
        for parameter in network.parameters():
            parameter.grad = torch.ones_like(parameter)
        mask()
        found.append([p.grad.clone() for p in network.parameters()])
        for name, weight in weights.items():
            assert not weight.grad[~masks.mask[name]].any(), name
    assert all(torch.equal(one, two) for one, two in zip(*found, strict=True))


def test_a_parameter_without_a_gradient_is_left_out():
    layer = nn.Linear(8, 8)
    masks = Masks({"": layer.weight}, {"": torch.eye(8, dtype=torch.bool)})
    layer.bias.grad = torch.ones(8)
    assert {n: float(s) for n, s in masks.masked_sums(layer.named_parameters()).items()} == {
        "bias": 8.0
    }


@pytest.mark.parametrize("method", ["static", "set", "rigl", "snfs", "gmp"])
def test_a_training_is_the_same_by_one_pass_and_by_two(method, monkeypatch):
    """Methods that ask for no dense gradient, for some, for all; updates in the steps' place."""
    ended = []
    for many in (1, 10**9):
        monkeypatch.setattr(storage, "MANY", many)
        run = make_run(method)
        t = start(run, digits.load(), counts_of(run), None, How())
        for _ in train_steps(t, 12):
            pass
        ended.append((t.masks.digest(), float(t.watch.loss), t.model.state_dict()))
    (masks, loss, weights), (others, other_loss, other_weights) = ended
    assert (masks, loss) == (others, other_loss)
    for name, weight in weights.items():
        assert torch.equal(weight, other_weights[name]), name


@pytest.mark.fault
@pytest.mark.parametrize("method", ["set", "rigl", "snfs"])
@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("many", [1, 10**9])
def test_a_bad_gradient_outside_the_mask_stops_the_run(many, value, method, monkeypatch):
    monkeypatch.setattr(storage, "MANY", many)
    run = make_run(method)
    t = start(run, digits.load(), counts_of(run), None, How())
    name, mask = next((n, m) for n, m in t.masks.mask.items() if not m.all())
    outside = int((~mask).view(-1).nonzero()[0])
    steps = train_steps(t, 10)
    next(steps), next(steps)

    def spoil(grad):
        grad = grad.clone(memory_format=torch.contiguous_format)
        grad.view(-1)[outside] = value
        return grad

    t.masks.weights[name].register_hook(spoil)
    before = [p.detach().clone() for p in t.model.parameters()]
    with pytest.raises(Diverged, match=f"^gradient of {name}.weight has no finite sum at step 2$"):
        next(steps)
    assert all(torch.equal(a, b) for a, b in zip(t.model.parameters(), before, strict=True))
