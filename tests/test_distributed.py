"""Several processes train as one does: the same masks and, to rounding, the same weights."""

import dataclasses
import os
import signal

import pytest
import torch
from conftest import Watched, in_faults, make_run
from ranks import together
from safetensors.torch import load_file

from resparse import data as datasets
from resparse import distributed
from resparse.data import digits
from resparse.errors import UsageError
from resparse.how import How
from resparse.models import build_model
from resparse.outcome import count_correct
from resparse.record import Run, RunStore
from resparse.training import Training
from resparse.worker import code_of, train_and_commit

STEPS = 30


def mlp_run(method, steps=STEPS, **fields) -> Run:
    """The small run of a method on digits' MLP, in float64."""
    run = make_run(method, steps, lr=0.3, **fields)
    changes = {"model": "mlp_small", "precision": "fp64"}
    if run.parent is not None:
        changes["parent"] = dataclasses.replace(run.parent, **changes)
    return dataclasses.replace(run, **changes)


def trained(run, root, world=1, accumulate=1, **options):
    """The run in this process, one of ``world``: what its record says."""
    store = RunStore(root)
    how = How(world=world, accumulate=accumulate)
    facts = {"git_sha": "", "git_dirty": False}
    arguments = {"how": how, "provenance": facts, "code": code_of(run), "data_root": None}
    if run.parent is not None:
        parent = arguments | {"code": code_of(run.parent)}
        train_and_commit(run.parent, store, **parent)
    record = train_and_commit(run, store, **arguments, **options)
    kept = ("nnz", "rs", "rs_trained", "top1_last", "masks_sha256", "train_flops", "updates")
    kept = {name: record.outcome[name] for name in kept}
    return [record.status, record.reason, kept, record.curves]


def tensors(run, root):
    return load_file(root / run.key / "final.safetensors")


RESET = ("rigl", 2, 1)  # the one that resets weights that it regrows
FIRST = [("snfs", 2, 1), ("gmp", 2, 1), RESET, ("rigl", 3, 2), ("set", 4, 2)]
SHARED = [*FIRST, *((method, 2, 1) for method in ("set", "snip", "lth", "rigl_itop"))]
SHARED += [("rigl", 4, 1)]


@pytest.mark.parametrize(("method", "world", "accumulate"), in_faults(SHARED, FIRST))
def test_several_processes_train_as_one(method, world, accumulate, tmp_path):
    """Three share 64 images unequally, and 897 are no multiple of any of these."""
    reset = {"reset_regrown": True} if (method, world, accumulate) == RESET else {}
    run = mlp_run(method, **reset)
    one = trained(run, tmp_path / "one")
    said = together(
        world,
        tmp_path / "group",
        lambda rank: trained(run, tmp_path / "several", world, accumulate),
    )
    assert one[0] == "completed"
    assert one[2]["updates"] > 0 or method in ("snip", "lth")
    for status, reason, outcome, curves in said:
        assert (status, reason, outcome) == (one[0], one[1], one[2])
        assert curves["train_loss"] == pytest.approx(one[3]["train_loss"], rel=1e-9)
        assert curves["val_top1"] == one[3]["val_top1"]
    alone, several = tensors(run, tmp_path / "one"), tensors(run, tmp_path / "several")
    assert alone.keys() == several.keys()
    for name, tensor in alone.items():
        if name.startswith("mask/"):
            assert torch.equal(tensor, several[name]), name
        elif tensor.is_floating_point():
            assert tensor.dtype == torch.float64
            worst = (tensor - several[name]).abs().max() / tensor.abs().max()
            assert worst <= 1e-9, name


def test_processes_hold_different_images_of_the_same_batches(tmp_path):
    """Together, step by step, those of one alone."""

    def seen(rank):
        batches = digits.load().train_batches(0, 64, 3, 5)
        return [images.sum(dim=(1, 2, 3)).tolist() for images, _ in batches]

    whole = seen(0)
    parts = together(3, tmp_path, seen)
    for step in range(2):
        shares = [part[step] for part in parts]
        assert sorted(map(len, shares)) == [21, 21, 22]
        assert sorted(x for share in shares for x in share) == sorted(whole[step])
        assert shares[0] != shares[1]


@pytest.mark.fault
@pytest.mark.parametrize(("method", "step"), [("static", 13), ("set", 3), ("rigl", 3)])
def test_a_missing_all_reduce_is_found_at_the_next_comparison(method, step, tmp_path, monkeypatch):
    """Masks and weights are compared at every update, and at every epoch's end."""
    monkeypatch.setattr(distributed, "reducing", lambda model, device: model)
    run = mlp_run(method)
    said = together(2, tmp_path / "a", lambda rank: trained(run, tmp_path / "several", 2))
    assert len(said) == 2
    for what in said:
        assert what.startswith(
            f"RunFailed: after step {step} masks or weights differ between processes (process 0: "
        )


@pytest.mark.fault
def test_a_gradient_that_is_not_finite_on_one_process_ends_all(tmp_path, monkeypatch):
    """Its loss is: the gradient is spoilt on its way, before processes add theirs up."""
    backward = Training.backward

    def spoilt(self, images, labels):
        if distributed.own_share().rank == 1 and self.progress.step == 9:
            weight = self.masks.weights["fc2"]
            handle = weight.register_hook(lambda grad: grad * float("inf"))
            try:
                return backward(self, images, labels)
            finally:
                handle.remove()
        return backward(self, images, labels)

    monkeypatch.setattr(Training, "backward", spoilt)
    run = mlp_run("set")
    said = together(2, tmp_path / "a", lambda rank: trained(run, tmp_path / "bad", 2))
    assert said[0] == said[1]
    assert said[0][:2] == ["diverged", "gradient of fc2.weight has no finite sum at step 9"]


@pytest.mark.fault
@pytest.mark.parametrize("value", in_faults(["nan", "inf"], ["nan"]))
def test_what_is_not_finite_on_one_process_ends_all_at_its_step(value, tmp_path, monkeypatch):
    """Before the optimizer's step: the weights are those of a run that ends there."""
    run = mlp_run("rigl")

    def poisoned(rank, bad_step):
        def see(step, images, labels):
            if rank == 1 and step == bad_step:
                images[0, 0, 0, 0] = float(value)

        return lambda name, root: Watched(see)

    def work(rank, root, bad_step):
        monkeypatch.setattr(datasets, "load", poisoned(rank, bad_step))
        return trained(run, root, 2)

    said = together(2, tmp_path / "a", lambda rank: work(rank, tmp_path / "bad", 17))
    assert [what[0] for what in said] == ["diverged"] * 2
    assert said[0] == said[1]
    assert "at step 17" in said[0][1]
    good = dataclasses.replace(run, snapshots=(17,))
    together(2, tmp_path / "b", lambda rank: trained(good, tmp_path / "good", 2))
    before = load_file(tmp_path / "good" / good.key / "snapshot-17.safetensors")
    after = tensors(run, tmp_path / "bad")
    assert len(before) == 6
    for name, weight in before.items():
        assert torch.equal(weight, after[name]), name


@pytest.mark.fault
@pytest.mark.parametrize("world", in_faults([2, 3], [3]))
def test_one_process_that_is_asked_to_stop_stops_all_after_one_step(world, tmp_path):
    """And the run continues as if nobody had asked: bit by bit, in whatever order three sum."""
    run = mlp_run("rigl")

    def work(rank, root, term):
        def see(step, images, labels):
            if rank == 1 and step == term:
                os.kill(os.getpid(), signal.SIGTERM)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(datasets, "load", lambda name, root: Watched(see))
            return trained(run, root, world)

    stopped = together(world, tmp_path / "a", lambda rank: work(rank, tmp_path / "stopped", 11))
    assert (
        stopped
        == [f"Requeue: stopped after step 11 of {STEPS}: the same command continues"] * world
    )
    again = together(world, tmp_path / "b", lambda rank: work(rank, tmp_path / "stopped", -1))
    whole = together(world, tmp_path / "c", lambda rank: work(rank, tmp_path / "whole", -1))
    assert again == whole
    events = (tmp_path / "stopped" / run.key / "events.jsonl").read_text()
    assert '"event":"resumed","step":12' in events
    one, other = tensors(run, tmp_path / "stopped"), tensors(run, tmp_path / "whole")
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_a_network_with_statistics_is_evaluated_as_one(tmp_path):
    """Batch norms are each process's own in training: the first's, which are kept, count."""
    run = dataclasses.replace(make_run("set", 20), precision="fp32")
    said = together(2, tmp_path / "a", lambda rank: trained(run, tmp_path / "several", 2))
    assert said[0] == said[1]
    model, data = build_model(run.model, 10, (1, 8, 8), 0), digits.load()
    kept = tensors(run, tmp_path / "several")
    model.load_state_dict({n[6:]: t for n, t in kept.items() if n.startswith("model/")})
    tested = count_correct(model, model, data, "test")
    assert said[0][2]["top1_last"] == 100.0 * tested / data.size("test")


def test_batch_norms_are_synchronised_on_gpus_alone(tmp_path):
    run = make_run("set")
    run = dataclasses.replace(
        run, precision="fp32", recipe=dataclasses.replace(run.recipe, sync_batch_norm=True)
    )
    with pytest.raises(UsageError, match="sync_batch_norm on the CPU; valid: on GPUs"):
        trained(run, tmp_path)


def test_a_recipe_that_says_nothing_of_it_keeps_its_key():
    assert "sync_batch_norm" not in make_run("set").config["recipe"]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"world": 0}, "batches of 64 in 1 parts on each of 0 processes"),
        ({"world": 65}, "valid: an image or more in each"),
        ({"world": 32, "accumulate": 4}, "in 4 parts on each of 32 processes"),
        ({"checkpoint_minutes": 0}, "checkpoint_minutes = 0; valid: above 0"),
        ({"timeout_s": float("inf")}, "timeout_s = inf; valid: above 0"),
    ],
)
def test_what_cannot_be_shared_is_refused(how, said):
    with pytest.raises(UsageError, match=said):
        How(**how).require("fp32", 64)


def test_portable_numerics_are_of_one_process():
    with pytest.raises(UsageError, match="world = 2 in portable numerics"):
        How(world=2).require("portable", 64)
