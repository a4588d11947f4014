"""What a step, an evaluation and a best epoch are, against the same thing written out by hand."""

import copy
import dataclasses
import math

import pytest
import torch
from conftest import PER_EPOCH, Watched, counts_of, make_run, part, train_to
from safetensors.torch import load_file

from resparse.beginning import start
from resparse.data import digits
from resparse.how import How
from resparse.models import build_model
from resparse.trainer import train_steps

PLAIN = {"lr": 0.05, "lr_shape": "steps", "nesterov": False, "weight_decay": 0.0}
RECIPES = {
    "plain momentum": {},
    "less momentum": {"momentum": 0.5},
    "Nesterov momentum": {"nesterov": True},
    "weight decay": {"weight_decay": 0.05},
    "label smoothing": {"label_smoothing": 0.3},
    "warm-up": {"warmup": 4},
    "drops of the learning rate": {"lr_drops": (2, 5), "lr_factor": 0.2},
    "cosine after a warm-up": {"lr_shape": "cosine", "warmup": 2},
    "all of them": {
        "nesterov": True,
        "weight_decay": 0.05,
        "label_smoothing": 0.3,
        "warmup": 2,
        "lr_drops": (5,),
    },
}


def with_recipe(run, **changes):
    return dataclasses.replace(run, recipe=dataclasses.replace(run.recipe, **changes))


def rate(recipe, step):
    """Learning rate of a step, from its definition."""
    if step < recipe.warmup:
        return recipe.lr * (step + 1) / recipe.warmup
    if recipe.lr_shape == "cosine":
        share = (step - recipe.warmup) / (recipe.steps - recipe.warmup)
        return recipe.lr * (1 + math.cos(math.pi * share)) / 2
    return recipe.lr * recipe.lr_factor ** sum(step >= drop for drop in recipe.lr_drops)


def smoothed_loss(logits, labels, smoothing):
    """Cross-entropy to (1 - e) one-hot + e / classes."""
    log_p = logits.log_softmax(dim=1)
    right = log_p[torch.arange(len(labels)), labels]
    return -((1 - smoothing) * right + smoothing * log_p.mean(dim=1)).mean()


def sgd(model, velocity, gradients, recipe, step):
    """One step of SGD, decay on every parameter: v = m v + g; Nesterov steps along g + m v."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            g = gradients[name] + recipe.weight_decay * parameter
            velocity[name] = recipe.momentum * velocity.get(name, 0.0) + g
            along = g + recipe.momentum * velocity[name] if recipe.nesterov else velocity[name]
            parameter.sub_(rate(recipe, step) * along)


def install(model, velocity, old, new):
    """Weights and velocity become 0 outside the new masks and where one has just grown."""
    with torch.no_grad():
        for layer, mask in new.items():
            stays = mask & old[layer]
            model.get_parameter(f"{layer}.weight").mul_(stays)
            if f"{layer}.weight" in velocity:
                velocity[f"{layer}.weight"] *= stays


def follow(run, steps):
    """Train, do the same by hand beside it, and compare after every step."""
    t = start(run, digits.load(), counts_of(run), None, How())
    model, velocity, training = copy.deepcopy(t.model).train(), {}, train_steps(t, steps)
    batches = digits.load().train_batches(run.seed, run.recipe.batch_size, 0, steps)
    for step, (images, labels) in enumerate(batches):
        masks = dict(t.masks.mask)
        assert next(training) == step
        model.zero_grad()
        smoothed_loss(model(images), labels, run.recipe.label_smoothing).backward()
        gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
        for layer, mask in masks.items():
            gradients[f"{layer}.weight"] *= mask
        update = t.method.updates_at(step)
        if not (update and run.fields["order"] == "replace"):
            sgd(model, velocity, gradients, run.recipe, step)
        if update:
            assert any(not torch.equal(m, masks[n]) for n, m in t.masks.mask.items()), step
            install(model, velocity, masks, t.masks.mask)
        for name, value in t.model.state_dict().items():
            torch.testing.assert_close(value, model.state_dict()[name], rtol=1e-3, atol=3e-5)
    return t


@pytest.mark.parametrize("case", RECIPES)
def test_a_step_is_the_recipes_step(case):
    follow(with_recipe(make_run("static"), **PLAIN | RECIPES[case]), 8)


@pytest.mark.parametrize("method", ["rigl", "set"])
@pytest.mark.parametrize("order", ["replace", "after"])
def test_an_update_replaces_the_step_or_follows_it_as_its_order_says(order, method):
    run = with_recipe(make_run(method, order=order, interval=3), **PLAIN | RECIPES["all of them"])
    t = follow(run, 8)
    assert [step for step, _ in t.progress.forward] == [-1, 2, 5]


def loaded(tensors):
    """The network of saved tensors, ready for evaluation."""
    model = build_model("resnet8", 10, (1, 8, 8), 0)
    model.load_state_dict(part(tensors, "model/"))
    return model.eval()


def accuracy(model, split):
    """Percent of a split in one batch."""
    images, labels = next(digits.load().eval_batches(split, 10_000))
    with torch.no_grad():
        return 100.0 * int((model(images).argmax(dim=1) == labels).sum()) / len(labels)


def test_accuracy_is_measured_with_the_running_statistics(tmp_path):
    steps = PER_EPOCH + 4  # with an evaluation on the way
    _, _, outcome, curves, *_ = train_to(tmp_path, make_run("static", steps))
    model = loaded(load_file(tmp_path / "final.safetensors"))
    assert outcome["top1_last"] == accuracy(model, "test")
    assert curves["val_top1"][-1] == accuracy(model, "val")
    model.train()
    assert outcome["top1_last"] != accuracy(copy.deepcopy(model), "test")
    assert curves["val_top1"][-1] != accuracy(copy.deepcopy(model), "val")


def test_only_training_batches_enter_the_running_statistics(tmp_path):
    steps = 2 * PER_EPOCH + 3
    train_to(tmp_path, make_run("static", steps))
    final = part(load_file(tmp_path / "final.safetensors"), "model/")
    counted = {int(v) for name, v in final.items() if name.endswith("num_batches_tracked")}
    assert counted == {steps}


def spoiled(step, images, labels):
    """After the first epoch no image says anything, so the best accuracy is the first epoch's."""
    return images * 0 if step >= PER_EPOCH else None


ENDS = {1: PER_EPOCH, 2: 2 * PER_EPOCH, 3: 30}  # epoch -> its last step


@pytest.mark.parametrize(("method", "eligible"), [("static", [1, 2, 3]), ("gmp", [2, 3])])
def test_the_best_epoch_is_one_at_the_final_density(method, eligible, tmp_path):
    run = make_run(method, 30, snapshots=tuple(ENDS.values()))  # gmp's density is final at step 27
    _, _, outcome, curves, *_ = train_to(tmp_path, run, data=Watched(spoiled))
    val = dict(enumerate(curves["val_top1"], start=1))
    assert val[1] > max(val[2], val[3])
    best = max(val[epoch] for epoch in eligible)
    epoch = min(epoch for epoch in eligible if val[epoch] == best)
    assert outcome["best_val_epoch"] == epoch
    snapshot = load_file(tmp_path / f"snapshot-{ENDS[epoch]}.safetensors")
    assert outcome["top1_best_val"] == accuracy(loaded(snapshot), "test")


@pytest.mark.parametrize(("method", "epoch"), [("static", 1), ("gmp", 2)])
def test_of_equally_good_epochs_the_first_is_best(method, epoch, tmp_path):
    data = digits.load()
    images, labels = data.splits["val"]  # one image, each label as often: 10 % whatever is said
    same = (torch.zeros_like(images), torch.arange(len(labels)) % 10)
    data = dataclasses.replace(data, splits=data.splits | {"val": same})
    _, _, outcome, curves, *_ = train_to(tmp_path, make_run(method), data=data)
    assert curves["val_top1"] == [10.0, 10.0, 10.0]
    assert outcome["best_val_epoch"] == epoch
