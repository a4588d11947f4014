"""The loop: exact resume, exact zeros, dense gradients, separate random streams, bad endings."""

import copy
import dataclasses
import json
import signal

import pytest
import torch
from conftest import (
    METHODS,
    PER_EPOCH,
    STEPS,
    Watched,
    counts_of,
    in_faults,
    make_run,
    parent_of,
    part,
    step_losses,
    train_to,
)
from safetensors.torch import load_file
from torch.nn import functional as F

from resparse import forking, precision, registry
from resparse.beginning import start
from resparse.data import digits
from resparse.errors import Requeue, UsageError
from resparse.how import How
from resparse.models import maskable
from resparse.trainer import train_steps
from resparse.training import Training

# what resumes by itself in `nox -s tests`: by chance, by gradient, by its average, by pruning, from
# a snapshot, from a search; the contract's saved_state_continues is of every method there
RESUMED = ("set", "rigl", "snfs", "gmp", "ltr", "snip_set_itop")
MOVING = [name for name in METHODS if "interval" in registry.own_fields(registry.load(name))]


def steps_logged(path, event):
    lines = [json.loads(line) for line in (path / "events.jsonl").read_text().splitlines()]
    return [line["step"] for line in lines if line["event"] == event]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """A function from a method to (run, parent, folder, what train returned), trained once."""
    known = {}

    def trained(method):
        if method not in known:
            run, folder = make_run(method, snapshots=(9, 20)), tmp_path_factory.mktemp(method)
            parent = parent_of(run, folder)
            known[method] = run, parent, folder, train_to(folder, run, parent)
        return known[method]

    return trained


@pytest.mark.fault
@pytest.mark.parametrize("method", in_faults(METHODS, RESUMED))
def test_stopped_and_resumed_is_uninterrupted(method, tmp_path, uninterrupted):
    run, parent, folder, whole = uninterrupted(method)
    with pytest.raises(Requeue, match="step 16"):
        train_to(tmp_path / "halves", run, parent, stop_after=17)
    assert not (tmp_path / "halves" / "final.safetensors").exists()
    halves = train_to(tmp_path / "halves", run, parent)

    assert halves == whole  # status, reason, outcome, curves, files
    assert steps_logged(tmp_path / "halves", "resumed") == [17]
    status, reason, outcome, curves, files, _ = whole
    assert (status, reason) == ("completed", "")
    assert outcome["updates"] >= (4 if method in MOVING else 0)
    assert len(curves["train_loss"]) == len(curves["val_top1"]) == 3  # after 14, 28, 30 steps
    assert files == ["final.safetensors", "snapshot-9.safetensors", "snapshot-20.safetensors"]
    for name in files:
        assert (folder / name).read_bytes() == (tmp_path / "halves" / name).read_bytes()


def test_another_seed_is_another_run(tmp_path):
    outcomes = [train_to(tmp_path / str(s), make_run("set", 2, seed=s))[2] for s in (0, 1)]
    assert outcomes[0]["weights_sha256"] != outcomes[1]["weights_sha256"]
    assert outcomes[0]["masks_sha256"] != outcomes[1]["masks_sha256"]


def train_and_hang(end, path, method):
    """In a process of its own: train until step 23 and wait there."""

    def hang(step, images, labels):
        if step == 23:
            end.send("ready")
            signal.pause()

    precision.enter("portable")
    train_to(path, make_run(method), data=Watched(hang), checkpoint_steps=5)


@pytest.mark.fault
def test_killed_and_repeated_is_uninterrupted(tmp_path):
    context, method = forking.context("portable"), "snfs"
    news, end = context.Pipe(duplex=False)
    child = context.Process(target=train_and_hang, args=(end, tmp_path / "killed", method))
    forking.start(child)
    end.close()
    assert news.recv() == "ready"
    child.kill()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert steps_logged(tmp_path / "killed", "checkpoint") == [5, 10, 15, 20]

    again = train_to(tmp_path / "killed", make_run(method))
    assert steps_logged(tmp_path / "killed", "resumed") == [20]
    assert again == train_to(tmp_path / "whole", make_run(method))


@pytest.mark.fault
def test_resumes_from_the_older_checkpoint_when_the_newer_is_damaged(tmp_path):
    run = make_run("set")
    with pytest.raises(Requeue):
        train_to(tmp_path / "damaged", run, checkpoint_steps=5, stop_after=17)
    newest = tmp_path / "damaged" / "checkpoint-000000017" / "tensors.safetensors"
    data = bytearray(newest.read_bytes())
    data[-1] ^= 1
    newest.write_bytes(data)
    again = train_to(tmp_path / "damaged", run)
    assert steps_logged(tmp_path / "damaged", "resumed") == [15]
    assert "checkpoint-000000017" in (tmp_path / "damaged" / "events.jsonl").read_text()
    assert again == train_to(tmp_path / "whole", run)


@pytest.mark.fault
def test_starting_over_because_every_checkpoint_is_damaged_is_said(tmp_path):
    with pytest.raises(Requeue):
        train_to(tmp_path, make_run("static", 6), checkpoint_steps=2, stop_after=4)
    for path in tmp_path.glob("checkpoint-*"):
        (path / "tensors.safetensors").write_bytes(b"")
    train_to(tmp_path, make_run("static", 6))
    assert "checkpoint-000000002" in (tmp_path / "events.jsonl").read_text()


@pytest.mark.parametrize("method", METHODS)
def test_final_weights_are_zero_outside_masks_and_counts_as_announced(method, uninterrupted):
    run, parent, folder, (_, _, outcome, *_) = uninterrupted(method)
    final = load_file(folder / "final.safetensors")
    masks, weights = part(final, "mask/"), part(final, "model/")
    nnz = {name: int(mask.sum()) for name, mask in masks.items()}
    assert nnz == outcome["nnz"]
    if registry.load(method).budget == "layer":
        assert nnz == counts_of(run)
    elif method != "small_dense":  # whose counts are those of whole channels
        assert sum(nnz.values()) == sum(counts_of(run).values())
    for name, mask in masks.items():
        weight = weights[f"{name}.weight"]
        assert bool((weight[~mask] == 0).all()), name
        assert bool((weight[mask] != 0).any()), name
    assert (outcome["maskable"], outcome["total"]) == (4964, 5142)
    if method == "ltr":
        assert all(torch.equal(mask, parent[0].masks[name]) for name, mask in masks.items())


@pytest.mark.parametrize("method", ["rigl", "rigl_itop", "snfs"])
def test_gradients_are_those_of_the_whole_batch_before_masking(method):
    run, data = make_run(method), digits.load()
    t = start(run, data, counts_of(run), None, How())
    before, dense, averages, updates = {}, {}, {}, []
    for step, (images, labels) in enumerate(data.train_batches(run.seed, 64, 0, 12)):
        model = copy.deepcopy(t.model)
        F.cross_entropy(model(images), labels).backward()
        dense[step] = {name: weight.grad for name, weight in maskable(model).items()}
        for name, grad in dense[step].items():
            average = averages.get(name, torch.zeros_like(grad))
            averages[name] = average.lerp(grad, 0.1)
        before = dict(t.masks.mask)
        score = averages if method == "snfs" else dense[step]
        t.progress.step = step
        next(train_steps(t, STEPS))
        for name, new in t.masks.mask.items():
            grown, out = score[name][new & ~before[name]].abs(), score[name][~new].abs()
            if len(grown) and len(out):
                updates.append((step, name))
                assert float(grown.min()) >= float(out.max()), (step, name)
    assert {step for step, _ in updates} == {3, 7, 11}


def seen_batches(method, tmp_path):
    seen = []
    data = Watched(lambda step, x, y: seen.append((step, x.numpy().tobytes(), y.tolist())))
    train_to(tmp_path / method, dataclasses.replace(make_run(method), model="mlp_small"), data=data)
    return seen


def test_methods_share_data_order_and_initialisation(tmp_path):
    batches = seen_batches("static", tmp_path)
    assert len(batches) == STEPS
    assert batches == seen_batches("set", tmp_path) == seen_batches("rigl", tmp_path)
    # one batch more, of the score's own stream, before the first
    scored = seen_batches("snip", tmp_path)
    assert scored[1:] == batches
    assert scored[0] not in batches
    static, moving = (step_losses(make_run(m), 8) for m in ("static", "set"))
    assert static[:4] == moving[:4]  # the same masks until the update after step 3
    assert static[4] != moving[4]
    assert all(torch.equal(w, start_weights("set")[n]) for n, w in start_weights("static").items())


def start_weights(method):
    run = make_run(method)
    t = start(run, digits.load(), counts_of(run), None, How())
    return {name: weight.detach().clone() for name, weight in t.masks.weights.items()}


def test_losses_of_an_epoch_are_averaged(tmp_path):
    losses = step_losses(make_run("static"), STEPS)
    curve = train_to(tmp_path, make_run("static"))[3]["train_loss"]
    ends = [(0, PER_EPOCH), (PER_EPOCH, 2 * PER_EPOCH), (2 * PER_EPOCH, STEPS)]
    assert curve == [pytest.approx(sum(losses[a:b]) / (b - a)) for a, b in ends]


@pytest.mark.fault
def test_nan_ends_the_run_as_diverged(tmp_path):
    data = Watched(lambda step, images, _: images * float("nan") if step == 7 else None)
    status, reason, outcome, curves, files, _ = train_to(tmp_path, make_run("set"), data=data)
    assert (status, reason) == ("diverged", "loss is nan at step 7")
    assert curves == {"val_top1": [], "train_loss": [], "rs": []}
    assert outcome["top1_best_val"] is None
    assert files == ["final.safetensors"]


@pytest.mark.fault
def test_weights_that_are_nan_at_a_mask_update_are_diverged_too(tmp_path, monkeypatch):
    def overflows(t):
        next(t.model.parameters()).data.view(-1)[0] = float("nan")

    monkeypatch.setattr(Training, "optimize", overflows)
    status, reason, *_ = train_to(tmp_path, make_run("set", interval=1))
    assert status == "diverged"
    assert reason.startswith("mask update at step 0: a score is NaN")


@pytest.mark.fault
def test_accuracy_at_chance_is_collapsed(tmp_path):
    data = digits.load()
    blind = {s: (torch.zeros_like(images), labels) for s, (images, labels) in data.splits.items()}
    data = dataclasses.replace(data, splits=blind)
    status, reason, outcome, *_ = train_to(tmp_path, make_run("static", 3), data=data)
    assert status == "collapsed"
    assert f"{outcome['top1_last']:.2f} % is at chance" in reason


@pytest.mark.parametrize("seed", range(3))
def test_random_growth_explores_as_expected(seed, tmp_path):
    outcome = train_to(tmp_path, make_run("set", 40, seed=seed, interval=2, alpha=0.3))[2]
    assert outcome["updates"] == 20
    assert 0.3 < outcome["rs_expected"] < 0.95
    assert outcome["rs_std"] > 0
    assert abs(outcome["rs_z"]) <= 4


@pytest.mark.parametrize("name", precision.PRECISIONS)
def test_a_run_has_one_thread(name):
    torch.set_num_threads(2)
    try:
        precision.enter(name)
        assert torch.get_num_threads() == 1
    finally:
        precision.enter("portable")


def test_portable_needs_its_environment(monkeypatch):
    monkeypatch.delenv("MKL_CBWR")
    with pytest.raises(UsageError, match="MKL_CBWR=COMPATIBLE"):
        precision.enter("portable")
