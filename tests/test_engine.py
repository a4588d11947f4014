"""Sparse layers: products, gradients, what is stored, what is refused, when a layer is packed."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from resparse.engine.layers import Kept, SparseLinear, sparse_of
from resparse.engine.packed import Packed
from resparse.engine.pattern import Pattern
from resparse.masks import Change, Masks
from resparse.storage import moments
from resparse.views import standing

NAMES = ("linear", "no bias", "one image", "words", "pointwise", "stride 2", "tiny")


def case(name):
    """A layer and images for it, in float64."""
    torch.manual_seed(3)
    layer, shape = {
        "linear": (nn.Linear(50, 33), (17, 50)),
        "no bias": (nn.Linear(50, 33, bias=False), (150, 50)),  # a block, vectors, and a rest
        "one image": (nn.Linear(50, 33), (1, 50)),
        "words": (nn.Linear(20, 12), (3, 7, 20)),
        "pointwise": (nn.Conv2d(16, 24, 1), (5, 16, 7, 9)),
        "stride 2": (nn.Conv2d(16, 24, 1, stride=(2, 3), bias=False), (5, 16, 8, 9)),
        "tiny": (nn.Linear(3, 1), (2, 3)),
    }[name]
    return layer.double(), torch.randn(shape, dtype=torch.float64)


def packed(layer, density=0.2, optimizer=None, seed=0):
    """A sparse layer in the place of ``layer``, packed by a random mask, and what holds it."""
    made = sparse_of(layer)
    mask = torch.rand(made.shape, generator=torch.Generator().manual_seed(seed)) < density
    mask.view(-1)[-1] = True  # never empty
    masks = Masks({"layer": made.weight}, {"layer": mask}, {"layer": Packed(made, 1.0)}, optimizer)
    return made, masks


def of(made, tensor):
    """A tensor that runs along the weight, dense."""
    return made.dense(tensor)


@pytest.mark.parametrize("kind", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", NAMES)
def test_a_packed_layer_computes_what_the_dense_one_does_with_zeros(name, kind):
    layer, images = case(name)
    layer, images = layer.to(kind), images.to(kind)
    plain = copy.deepcopy(layer)
    made, masks = packed(layer)
    mask = masks.mask["layer"]
    with torch.no_grad():
        plain.weight.mul_(mask)
    one, other = images.clone().requires_grad_(), images.clone().requires_grad_()
    masks.keep_gradients(True)
    found, expected = made(one), plain(other)
    close = {torch.float64: 1e-12, torch.float32: 1e-4}[kind]

    def same(a, b):
        assert a.shape == b.shape
        assert torch.allclose(a, b, rtol=close, atol=close)

    same(found, expected)
    above = torch.randn_like(expected)
    found.backward(above)
    expected.backward(above)
    same(one.grad, other.grad)
    same(of(made, made.weight.grad), plain.weight.grad * mask)
    same(masks.gradients(copied=False)["layer"], plain.weight.grad)
    if layer.bias is not None:
        same(made.bias.grad, plain.bias.grad)


@pytest.mark.parametrize("n", [1, 7, 16, 31, 128, 129, 300])
def test_every_number_of_images_and_every_count_of_weights_in_a_row(n):
    rng = np.random.default_rng(0)
    mask = torch.zeros(40, 60, dtype=torch.bool)
    for row in range(40):  # rows of 0 to 39 weights, at random places
        mask[row, rng.choice(60, row, replace=False)] = True
    pattern = Pattern(mask)
    values = torch.randn(pattern.nnz, dtype=torch.float64)
    dense = pattern.unpacked(values)
    assert torch.equal(pattern.packed(dense), values)
    assert torch.equal(dense != 0, mask)
    x, dy = (torch.randn(2, rows, n, dtype=torch.float64) for rows in (60, 40))
    assert torch.allclose(pattern.forward(values, None, x), dense @ x)
    assert torch.allclose(pattern.backward(values, dy), dense.t() @ dy)
    assert torch.allclose(pattern.gradient(dy, x), torch.einsum("gin,gjn->ij", dy, x)[mask])


def test_parts_of_a_batch_and_inputs_in_any_order_of_memory():
    layer, _ = case("linear")
    made, masks = packed(layer)
    images = torch.randn(12, 100, dtype=torch.float64)[:, ::2]  # not contiguous
    masks.keep_gradients(True)
    made(images).pow(2).sum().backward()
    whole = masks.gradients(copied=False)["layer"]
    sampled = made.weight.grad.clone()
    made.weight.grad = None
    masks.keep_gradients(True)
    for part in images.tensor_split(3):
        made(part).pow(2).sum().backward()
    assert torch.allclose(masks.gradients(copied=False)["layer"], whole)
    assert torch.allclose(made.weight.grad, sampled)
    masks.keep_gradients(False)
    assert made.kept is None


def test_threads_change_no_bit():
    layer, _ = case("no bias")
    made, _ = packed(layer)
    images = torch.randn(150, 50, dtype=torch.float64)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            one = images.clone().requires_grad_()
            made.weight.grad = None
            made(one).pow(2).sum().backward()
            found.append((made(images), one.grad, made.weight.grad))
    finally:
        torch.set_num_threads(before)
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)


def test_what_is_stored_is_of_the_active_weights_alone():
    layer = nn.Linear(400, 300)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9, fused=True)
    made, masks = packed(layer, 0.05, optimizer)
    made(torch.randn(8, 400)).sum().backward()
    optimizer.step()
    nnz, pattern = masks.nnz()["layer"], made.pattern
    stored = [made.weight, made.weight.grad, *moments(optimizer, made.weight)]
    made(torch.randn(8, 400, requires_grad=True)).sum().backward()  # makes the transposed
    by = pattern.transposed
    arrays = (pattern.ptr, pattern.index, pattern.chunks, by.chunks, by.ptr, by.rows)
    size = sum(t.numel() * t.element_size() for t in (*stored, by.order))
    size += sum(array.nbytes for array in arrays)
    assert len(stored) == 3
    assert all(t.shape == (nnz,) for t in stored)
    assert size < 48 * nnz
    assert masks.stored["layer"].factor.numel() == 0


def test_a_mask_that_moves_takes_weights_and_moments_along_as_in_full():
    """The same changes, one with a reset, through both ways of storing: equal numbers."""
    layers = [nn.Linear(30, 20).double() for _ in range(2)]
    layers[1].load_state_dict(layers[0].state_dict())
    optimizers = [torch.optim.SGD(x.parameters(), lr=0.1, momentum=0.9) for x in layers]
    made, sparse = packed(layers[0], 0.3, optimizers[0])
    first = sparse.mask["layer"]
    masked = Masks({"layer": layers[1].weight}, {"layer": first}, None, optimizers[1])
    rng = torch.Generator().manual_seed(1)
    for at in range(4):
        images = torch.randn(9, 30, generator=rng, dtype=torch.float64)
        both = ((made, sparse, optimizers[0]), (layers[1], masked, optimizers[1]))
        for net, masks, optimizer in both:
            optimizer.zero_grad()
            net(images).pow(2).sum().backward()
            masks.mask_gradients()
            optimizer.step()
        mask = torch.rand(20, 30, generator=rng) < 0.3
        reset = mask & (torch.rand(20, 30, generator=rng) < 0.5) if at % 2 else None
        for _, masks, optimizer in both:
            masks.install({"layer": Change(mask, reset)}, optimizer)
            masks.check_outside(optimizer)
            masks.check_counts({"layer": int(mask.sum())})
        views = [
            m.layers(None, o)["layer"] for m, o in zip((sparse, masked), optimizers, strict=True)
        ]
        for part in ("mask", "ever", "weight", "momentum"):
            assert torch.allclose(getattr(views[0], part), getattr(views[1], part)), part
        if at % 2:
            assert not views[0].weight[reset].any()
            assert not views[0].momentum[reset].any()


def test_a_layer_is_packed_at_its_crossover_and_full_above():
    layer = nn.Linear(10, 10).double()
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)
    made = sparse_of(layer)
    counts = [90, 50, 20, 51, 10]
    order = torch.rand(100, generator=torch.Generator().manual_seed(0)).argsort()

    def mask(count):
        flat = torch.zeros(100, dtype=torch.bool)
        flat[order[:count]] = True
        return flat.view(10, 10)

    stored = Packed(made, 0.5)
    masks = Masks({"layer": made.weight}, {"layer": mask(100)}, {"layer": stored}, optimizer)
    plain = copy.deepcopy(made.weight.detach())
    for count in counts:
        made(torch.randn(4, 10, dtype=torch.float64)).sum().backward()
        masks.mask_gradients()
        for group in optimizer.param_groups:
            group["lr"] = 0.0  # weights stay, moments do not
        optimizer.step()
        optimizer.zero_grad()
        masks.install({"layer": Change(mask(count))}, optimizer)
        plain *= mask(count)
        assert stored.is_packed == (count <= 50)
        assert torch.equal(made.state_dict()["weight"], plain)
        assert made.weight.numel() == (count if count <= 50 else 100)
        masks.check_outside(optimizer)
        plain = plain.clone()


def test_state_dicts_are_of_the_dense_network_both_ways():
    layer, images = case("linear")
    made, masks = packed(layer)
    saved = {name: tensor.clone() for name, tensor in made.state_dict().items()}
    assert saved["weight"].shape == (33, 50)
    assert torch.equal(saved["weight"] != 0, masks.mask["layer"])
    expected = made(images)
    other, others = packed(case("linear")[0], seed=1)
    other.load_state_dict(saved)
    others.restore(masks.mask, masks.ever, masks.trained, None)
    assert torch.equal(other(images), expected)


def test_a_stored_place_that_is_not_in_the_mask_is_found():
    layer, _ = case("linear")
    _, masks = packed(layer)
    masks.check_outside(None)
    flat = masks.mask["layer"].view(-1)
    flat[flat.nonzero()[0]] = False
    with pytest.raises(RuntimeError, match="layer layer: 1 numbers outside"):
        masks.check_outside(None)


def test_views_of_packed_layers_are_formed_when_looked_at_and_one_is_held():
    first, second = (packed(case("linear")[0], seed=seed) for seed in (0, 1))
    weights = {"a": first[0].weight, "b": second[0].weight}
    stored = {"a": first[1].stored["layer"], "b": second[1].stored["layer"]}
    masks = Masks.__new__(Masks)
    masks.__dict__ |= {"weights": weights, "stored": stored}
    masks.mask = {"a": first[1].mask["layer"], "b": second[1].mask["layer"]}
    masks.ever = masks.mask
    views = masks.layers(None, None)
    assert list(views) == ["a", "b"]
    one = views["a"]
    assert views["a"] is one
    assert views["b"].weight.shape == (33, 50)
    assert views["a"] is not one
    parts = [(name, part) for name, part, _ in standing(views)]
    assert parts == [("a", "mask"), ("a", "ever"), ("b", "mask"), ("b", "ever")]


@pytest.mark.parametrize("given", [torch.float16, torch.bfloat16, torch.float32, torch.int64])
def test_other_numbers_than_the_weights_are_refused(given):
    layer, images = case("linear")
    made, _ = packed(layer)
    with pytest.raises(TypeError, match=r"valid: the same, float32 or float64, on the CPU"):
        made(images.to(given))


def test_a_layer_of_another_kind_has_no_sparse_one():
    for layer in (
        nn.Conv2d(4, 4, 3),
        nn.Conv2d(4, 4, 1, groups=2),
        nn.Conv2d(4, 4, 1, padding=1),
        nn.Conv2d(4, 4, 1, padding=1, padding_mode="reflect"),
        nn.BatchNorm2d(4),
        SparseLinear.of(nn.Linear(3, 3)),
    ):
        assert sparse_of(layer) is None


def test_no_gradient_is_kept_unless_it_is_asked_for():
    layer, images = case("linear")
    made, masks = packed(layer)
    made(images).sum().backward()
    assert made.kept is None
    with pytest.raises(RuntimeError, match="no dense gradient was kept"):
        masks.gradients(copied=False)["layer"]
    masks.keep_gradients(True)
    assert made.kept == Kept(made.shape)
