"""How runs start: the seed's own weights, SNIP's scores, a ticket's parent, narrow networks."""

import copy
import dataclasses
import sys

import pytest
import torch
from conftest import (
    METHODS,
    PARENTS,
    REWIND,
    STEPS,
    Watched,
    counts_of,
    make_run,
    new_folder,
    parent_of,
)
from safetensors.torch import save_file
from torch.nn import functional as F

from resparse import beginning, registry
from resparse.beginning import scored, start
from resparse.data import digits
from resparse.distributions import layer_counts
from resparse.how import How
from resparse.models import build_model, maskable
from resparse.record import RunStore
from resparse.seeds import derive
from resparse.trainer import train_steps

CPU = torch.device("cpu")


def fresh(seed=0):
    """The network that a seed draws."""
    return build_model("resnet8", 10, (1, 8, 8), derive(seed, "init"))


def started(method, data=None, parent=None, **fields):
    run = make_run(method, **fields)
    return start(run, data or digits.load(), counts_of(run), parent, How())


@pytest.mark.parametrize("method", METHODS)
def test_a_run_starts_from_the_weights_that_its_seed_draws(method, tmp_path):
    if method in PARENTS:
        assert PARENTS[method][1] > 0  # rewound: test_ltr_starts_from_the_parents_snapshot
        return
    run = make_run(method)
    t = start(run, digits.load(), counts_of(run), parent_of(run, tmp_path), How())
    order = torch.get_rng_state()
    torch.manual_seed(derive(run.seed, "train"))
    assert torch.equal(order, torch.get_rng_state())
    for name, tensor in fresh().named_parameters():
        mask = t.masks.mask.get(name.removesuffix(".weight"), torch.ones_like(tensor))
        assert torch.equal(t.model.get_parameter(name), tensor * mask), name
        assert t.model.get_parameter(name).grad is None
    for ours, theirs in zip(t.model.buffers(), fresh().buffers(), strict=True):
        assert torch.equal(ours, theirs)


def test_ltr_starts_from_the_parents_snapshot(tmp_path):
    run = make_run("ltr")
    parent = parent_of(run, tmp_path)
    assert parent is not None
    t = start(run, digits.load(), counts_of(run), parent, How())
    assert t.progress.step == REWIND
    for name, tensor in t.model.state_dict().items():
        mask = parent[0].masks.get(name.removesuffix(".weight"))
        expected = parent[1][name] if mask is None else parent[1][name] * mask
        assert torch.equal(tensor, expected), name


# SNIP's scores


def method_of(**fields):
    run = make_run("snip", **fields)
    sizes = {name: weight.numel() for name, weight in maskable(fresh()).items()}
    densities = dict.fromkeys(sizes, 0.2)
    return run, registry.build("snip", run.fields, densities, sizes, STEPS)


@pytest.mark.parametrize("reinit", ["none", "xavier_normal"])
def test_scoring_leaves_the_network_and_torchs_generator_as_they_were(reinit):
    (run, method), model = method_of(reinit=reinit), fresh().eval()
    before = copy.deepcopy(model.state_dict())
    torch.manual_seed(77)
    generator = torch.get_rng_state()
    scored(run, digits.load(), model, method, CPU)
    assert torch.equal(torch.get_rng_state(), generator)
    assert not model.training
    assert all(torch.equal(tensor, before[n]) for n, tensor in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_scores_are_of_the_trained_weights_and_their_dense_gradients_in_train_mode(smoothing):
    (run, method), model = method_of(), fresh()
    recipe = dataclasses.replace(run.recipe, label_smoothing=smoothing)
    run = dataclasses.replace(run, recipe=recipe)
    layers = scored(run, digits.load(), model, method, CPU)
    batches = digits.load().train_batches(derive(run.seed, "score"), 64, 0, 1)
    images, labels = next(iter(batches))
    twin = fresh().train()
    F.cross_entropy(twin(images), labels, label_smoothing=smoothing).backward()
    for name, weight in maskable(twin).items():
        assert torch.equal(layers[name].weight, maskable(model)[name])
        assert layers[name].grad is not None
        assert torch.equal(layers[name].grad, weight.grad)
        assert layers[name].mask.all()


def test_scores_of_a_redrawn_copy_are_of_other_weights_which_only_the_seed_decides():
    model = fresh()
    answers = []
    for _ in range(2):
        run, method = method_of(reinit="xavier_normal")
        answers.append(scored(run, digits.load(), model, method, CPU))
    for name, weight in maskable(model).items():
        assert torch.equal(answers[0][name].weight, answers[1][name].weight)
        assert bool((answers[0][name].weight != weight).all()), name
    other_seed, method = method_of(seed=1, reinit="xavier_normal")
    other = scored(other_seed, digits.load(), model, method, CPU)
    assert not torch.equal(other["fc"].weight, answers[0]["fc"].weight)
    # another way of scoring is another mask, but the weights in it are trained as they were drawn
    t, as_is = started("snip", reinit="xavier_normal"), started("snip")
    assert t.masks.digest() != as_is.masks.digest()
    weights = maskable(fresh())
    assert all(torch.equal(w, weights[n] * t.masks.mask[n]) for n, w in t.masks.weights.items())


@pytest.mark.parametrize("method", ["snip", "snip_set_itop"])
def test_another_scoring_batch_is_another_mask(method):
    batches = []

    def flipped(step, images, labels):
        batches.append(step)
        return images.flip(3) if len(batches) == 1 else None

    first, again = started(method), started(method)
    other = started(method, data=Watched(flipped))
    assert batches == [0]
    assert first.masks.digest() == again.masks.digest() != other.masks.digest()
    assert sum(other.masks.nnz().values()) == sum(first.masks.nnz().values()) == 993


# a ticket


def test_a_ticket_reads_its_dense_parents_final_weights_from_the_store(tmp_path, monkeypatch):
    run, store = make_run("lth"), RunStore(tmp_path)
    assert beginning.parent_of(make_run("static"), store) is None
    assert run.parent is not None
    assert (run.parent.method, run.start_step) == ("dense", 0)
    folder = new_folder(store.folder(run.parent).path)
    final = {f"model/{n}.weight": w.detach() * 3 - 1 for n, w in maskable(fresh()).items()}
    masks = {f"mask/{n}": torch.ones_like(w, dtype=bool) for n, w in maskable(fresh()).items()}
    final["model/fc.weight"][0, 0] = 0.0  # active all the same: it may just have grown
    masks["mask/conv1"][0] = False
    save_file(final | masks, folder.path / "final.safetensors")
    flops = {"train_flops": {"init": 1.0, "train": 40.0, "parent": 2.0}}
    record = type("Record", (), {"outcome": flops})()
    monkeypatch.setattr(RunStore, "record", lambda self, run: record)
    found = beginning.parent_of(run, store)
    assert found is not None
    parent, network = found
    assert network is None  # the run draws its parent's first weights itself
    assert parent.train_flops == 43.0
    assert parent.weights.keys() == parent.masks.keys() == maskable(fresh()).keys()
    assert all(torch.equal(w, final[f"model/{n}.weight"]) for n, w in parent.weights.items())
    assert all(torch.equal(m, masks[f"mask/{n}"]) for n, m in parent.masks.items())
    t = started("lth", parent=found)
    kept = torch.cat([parent.weights[n][m].abs() for n, m in t.masks.mask.items()])
    left = torch.cat([parent.weights[n][~m].abs() for n, m in t.masks.mask.items()])
    assert kept.numel() == 993
    assert float(kept.min()) >= float(left.max())


# small_dense


def narrow():
    """A few steps of the narrow network, all its weights and statistics moved."""
    t = started("small_dense")
    list(train_steps(t, 4))
    return t


def channels(t, name):
    """(outputs, inputs) that a layer keeps."""
    mask = t.masks.mask[name]
    return int(mask.flatten(1).any(1).sum()), int(mask.transpose(0, 1).flatten(1).any(1).sum())


def test_a_narrow_network_keeps_blocks_of_channels_that_fit_together():
    t = narrow()
    for name, mask in t.masks.mask.items():
        outputs, inputs = channels(t, name)
        assert mask[:outputs, :inputs].all()
        assert int(mask.sum()) == mask[:outputs, :inputs].numel()
    # widths 4 8 16 by 7/16 or so: 2 4 7; every layer takes what the one before it gives
    a, b, c = channels(t, "conv1")[0], channels(t, "stages.1.conv1")[0], channels(t, "fc")[1]
    assert channels(t, "conv1") == (a, 1)
    assert channels(t, "stages.0.conv1") == channels(t, "stages.0.conv2") == (a, a)
    assert channels(t, "stages.1.conv1") == channels(t, "stages.1.shortcut.0") == (b, a)
    assert channels(t, "stages.2.conv1") == channels(t, "stages.2.shortcut.0") == (c, b)
    assert channels(t, "stages.2.conv2") == (c, c)
    assert channels(t, "fc") == (10, c)


def test_no_layer_is_left_without_a_channel():
    channels_of = sys.modules[registry.load("small_dense").__module__].kept_channels
    shapes = {"conv1": (8, 3, 3, 3), "conv2": (16, 8, 3, 3), "fc": (10, 16)}
    assert channels_of(shapes, 0.01) == {"conv1": (1, 3), "conv2": (1, 1), "fc": (10, 1)}
    # 0.3: 2.4 and 4.8 channels, so 2 and 5
    assert channels_of(shapes, 0.3) == {"conv1": (2, 3), "conv2": (5, 2), "fc": (10, 5)}


def resnet8_count(a, b, c):
    """Weights of resnet8 with widths a, b, c."""
    return 9 * a + 18 * a * a + a * b * 10 + 9 * b * b + b * c * 10 + 9 * c * c + 10 * c


@pytest.mark.parametrize("density", [0.05, 0.1, 0.2, 0.35, 0.5, 0.8, 1.0])
def test_its_count_is_the_nearest_that_scaling_all_widths_alike_reaches(density):
    shapes = {name: tuple(weight.shape) for name, weight in maskable(fresh()).items()}
    counts = layer_counts("erk", shapes, density)
    run = make_run("small_dense")
    t = start(run, digits.load(), counts, None, How())
    reachable = set()
    for i in range(1, 4001):  # the width as a share, in steps of 1/4000
        widths = [max(1, round(i / 4000 * n)) for n in (4, 8, 16)]
        reachable.add(resnet8_count(*widths))
    assert resnet8_count(4, 8, 16) == 4964
    budget = sum(counts.values())
    assert abs(sum(t.masks.nnz().values()) - budget) == min(abs(n - budget) for n in reachable)


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_a_narrow_networks_output_depends_on_nothing_that_it_leaves_out(mode):
    t = narrow()
    images = next(iter(digits.load().eval_batches("test", 64)))[0]
    model = t.model.train(mode == "train")

    def logits():
        return copy.deepcopy(model)(images).detach()  # batch statistics stay as they are

    before = logits()
    kept = {name: channels(t, name)[0] for name in t.masks.mask}
    with torch.no_grad():
        for name, mask in t.masks.mask.items():  # weights into left-out channels
            outputs = kept[name]
            t.masks.weights[name][outputs:] += torch.randn_like(t.masks.weights[name][outputs:])
            assert not mask[outputs:].any()
        norms = {n: m for n, m in model.named_modules() if isinstance(m, torch.nn.BatchNorm2d)}
        assert len(norms) == 9
        for name, norm in norms.items():
            conv = name.replace("bn", "conv").replace("shortcut.1", "shortcut.0")
            left = kept[conv]
            assert left < norm.num_features
            for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
                tensor[left:] += 1 + torch.rand(norm.num_features - left)
    assert torch.equal(logits(), before)
    with torch.no_grad():  # and the test can see: a kept channel matters
        norms["bn1"].bias[0] += 1
    assert not torch.equal(logits(), before)
