"""What a dataset's name asks of it, held-out images and borders; and the epoch that is chosen."""

import dataclasses

import pytest
import torch
from conftest import Watched, make_run, train_to
from small_data import cifar_spec

from resparse import data, workloads
from resparse.commands.run import chosen
from resparse.data import prepare
from resparse.data.protocol import split
from resparse.errors import UsageError
from resparse.record import Run


def numbered(count):
    """Images whose pixel is their number."""
    numbers = torch.arange(count)
    return {"train": (numbers.view(-1, 1, 1, 1), numbers), "test": (numbers[:2], numbers[:2])}


def held_out(name, count=40):
    parts = split(name, numbered(count))
    for images, labels in parts.values():
        assert torch.equal(images.flatten(), labels)
    return {part: labels.tolist() for part, (_, labels) in parts.items()}


def test_train_and_val_are_disjoint_everything_and_in_stored_order():
    parts = held_out("cifar10:val=10%")
    assert len(parts["val"]) == 4
    assert parts["val"] == sorted(parts["val"])
    assert parts["train"] == [n for n in range(40) if n not in parts["val"]]
    assert parts["test"] == [0, 1]
    assert held_out("cifar10") == {"train": list(range(40)), "test": [0, 1]}


def test_the_same_images_are_held_out_whatever_they_are_called():
    assert held_out("cifar10:val=10%") == held_out("cifar10:val=4")
    assert set(held_out("cifar10:val=4")["val"]) < set(held_out("cifar10:val=10")["val"])
    assert held_out("cifar10:val=10") != held_out("cifar100:val=10")


def test_the_held_out_images_are_these():
    """A change here changes every run that holds out images."""
    assert held_out("cifar10:val=5")["val"] == [0, 3, 5, 8, 18]


@pytest.mark.parametrize("val", ["", "00", "-5", "5%%", "100%", "50000", "60k", "x", "0%", "1.5k"])
def test_a_hold_out_that_leaves_nothing_or_is_no_number_is_refused(val):
    with pytest.raises(UsageError, match=r"val=\S* of 50,000 training images; valid: a number"):
        data.describe(f"cifar10:val={val}")


@pytest.mark.parametrize("name", ["digits:val=5k", "imagenet:pad=reflect", "random_imagenet:val=1"])
def test_a_dataset_that_splits_itself_takes_no_part(name):
    base, _, rest = name.partition(":")
    said = f"{name}: {base} has its own split and borders; valid: {base}, or {rest} of one of c"
    for act in (data.describe, data.named):
        with pytest.raises(UsageError, match=said):
            act(name)


@pytest.mark.parametrize("part", ["pad=black", "vall=3", "", "val=3:val=3", "pad=zero:pad=reflect"])
def test_a_part_that_is_none_is_refused(part):
    with pytest.raises(UsageError, match="valid: cifar10, then once at most :val=N and :pad="):
        data.describe(f"cifar10:{part}")


@pytest.mark.parametrize(
    ("spelt", "name"),
    [
        ("cifar10:val=5k", "cifar10:val=5000"),
        ("cifar100:val=10%", "cifar100:val=5000"),
        ("cifar10:pad=reflect:val=10%", "cifar10:val=5000:pad=reflect"),
        ("tiny_imagenet:pad=zero:val=0", "tiny_imagenet"),
        ("digits", "digits"),
    ],
)
def test_what_is_the_same_has_one_name(spelt, name):
    assert data.named(spelt) == data.named(name) == name
    assert data.describe(spelt) == data.describe(name)


def test_the_hold_out_of_a_name_is_replaced_and_its_borders_stay():
    assert data.named("cifar10:val=5k:pad=reflect", "10") == "cifar10:val=10:pad=reflect"
    assert data.named("cifar10:val=5k:pad=reflect", "0") == "cifar10:pad=reflect"
    assert data.named("digits", "0") == "digits"


def test_the_description_counts_what_is_left():
    assert data.describe("cifar10").train_size == 50_000
    assert data.describe("cifar10:val=5k").train_size == 45_000
    assert data.describe("tiny_imagenet:val=10%").train_size == 90_000
    assert data.source("cifar10:val=5k") == data.source("cifar10")
    with pytest.raises(UsageError, match=r"unknown dataset 'cifar:val=5k'; valid: digits, cifar10"):
        data.describe("cifar:val=5k")


def test_a_prepared_dataset_holds_out_and_validates_without_augmentation(tmp_path, monkeypatch):
    spec, folder = cifar_spec(tmp_path), tmp_path / "prepared" / "cifar10"
    prepare.prepare(spec, tmp_path, folder)
    monkeypatch.setenv("RESPARSE_PREPARED", str(folder.parent))
    whole = prepare.load(spec, None)
    part = prepare.load(spec, None, "cifar10:val=3")
    assert [part.size(s) for s in ("train", "val", "test")] == [9, 3, 6]
    assert (part.name, part.train_size) == ("cifar10:val=3", 9)
    assert part.sha256 != whole.sha256
    assert (part.mean, part.std) == (whole.mean, whole.std)
    (images, labels), *more = part.eval_batches("val", 512)
    assert not more
    stored, of = part.splits["val"]
    assert torch.equal(labels, of)
    mean, std = (torch.tensor(v).view(-1, 1, 1) for v in (part.mean, part.std))
    assert torch.equal(images, (stored.float() - mean) / std)
    mirrored = prepare.load(spec, None, "cifar10:val=3:pad=reflect")
    assert (part.padding, mirrored.padding) == ("zero", "reflect")
    assert mirrored.sha256 != part.sha256


def test_a_workload_with_another_hold_out():
    problem = dataclasses.replace(workloads.workload("digits_mlp"), dataset="cifar10:val=10%")
    assert workloads.holding_out(problem, None) is problem
    assert workloads.holding_out(problem, "0").train_size == 50_000
    assert workloads.holding_out(problem, "5k").dataset == "cifar10:val=5000"
    with pytest.raises(UsageError, match=r"digits:val=5k: digits has its own split"):
        workloads.holding_out(workloads.workload("digits_mlp"), "5k")
    own = dataclasses.replace(problem, sha256="0" * 64, model="my_problem")
    with pytest.raises(UsageError, match=r"val=5k: the load\(root\) of my_problem.py splits"):
        workloads.holding_out(own, "5k")


def test_keys_of_runs_that_do_not_test_every_epoch_stay():
    run = make_run("static")
    assert "test_every_epoch" not in run.config
    parent = dataclasses.replace(run, test_every_epoch=True)
    child = dataclasses.replace(run, parent=parent)
    assert "test_every_epoch" not in child.config
    assert child.config["parent"]["test_every_epoch"] is True
    assert len({run.key, parent.key, child.key}) == 3
    assert Run.from_config(child.config) == child


class Counting(Watched):
    """Digits that say nothing after an epoch, and which parts were evaluated."""

    def __init__(self):
        super().__init__(lambda step, images, labels: images * 0 if step >= 14 else None)
        self.asked = []

    def eval_batches(self, part, batch_size):
        self.asked.append(part)
        return self.data.eval_batches(part, batch_size)


def test_the_test_images_are_looked_at_only_for_a_number_that_is_reported(tmp_path):
    images = Counting()
    _, _, outcome, curves, *_ = train_to(tmp_path, make_run("static"), data=images)
    val = curves["val_top1"]
    better = sum(top1 > max(val[:n], default=-1.0) for n, top1 in enumerate(val))
    assert images.asked.count("val") == 3
    assert images.asked.count("test") == better + 1
    assert "top1_best_test" not in outcome
    assert "test_top1" not in curves


@pytest.mark.parametrize(("method", "eligible"), [("static", [1, 2, 3]), ("gmp", [2, 3])])
def test_the_best_epoch_by_the_test_images_is_said_beside_the_last(method, eligible, tmp_path):
    """gmp's network has its final density in the second epoch."""
    run = dataclasses.replace(make_run(method), test_every_epoch=True)
    _, _, outcome, curves, *_ = train_to(tmp_path, run, data=Counting())
    tested = dict(enumerate(curves["test_top1"], start=1))
    assert list(tested) == [1, 2, 3]
    assert tested[1] > max(tested[2], tested[3])
    best = max(tested[epoch] for epoch in eligible)
    assert outcome["top1_best_test"] == best
    assert outcome["best_test_epoch"] == min(e for e in eligible if tested[e] == best)
    assert outcome["top1_last"] == tested[3]
    assert f"; {best:.2f} % at epoch {outcome['best_test_epoch']}, best by test" in chosen(outcome)
