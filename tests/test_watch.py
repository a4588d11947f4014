"""A step that is not finite: at once on a CPU, later on a GPU, and never in the weights."""

import dataclasses
import json

import pytest
import torch
from conftest import Watched, counts_of, make_run, train_to
from safetensors.torch import load_file

from resparse import trainer
from resparse.beginning import start
from resparse.data import digits
from resparse.errors import Requeue
from resparse.how import How
from resparse.trainer import train_steps
from resparse.watch import Diverged, Watch


def started(step, value, precision="fp32", **fields):
    """A run whose gradient of conv1 has one number that is ``value`` at ``step``; its loss none."""

    def see(at, images, labels):
        spoil.now = at == step

    def spoil(grad):
        if not spoil.now:
            return None
        grad = grad.clone()
        grad.view(-1)[0] = value
        return grad

    run = dataclasses.replace(make_run("set", **fields), precision=precision)
    t = start(run, Watched(see), counts_of(run), None, How())
    t.model.conv1.weight.register_hook(spoil)
    return t


def weights(t):
    return [p.detach().clone() for p in t.model.parameters()]


@pytest.mark.fault
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("precision", ["portable", "fp32"])
def test_a_gradient_is_looked_at_before_the_optimizer_moves(precision, value):
    t = started(2, value, precision)
    steps = train_steps(t, 10)
    next(steps), next(steps)
    before = weights(t)
    with pytest.raises(Diverged, match=r"^gradient of conv1\.weight has no finite sum at step 2$"):
        next(steps)
    assert all(torch.equal(a, b) for a, b in zip(weights(t), before, strict=True))


@pytest.mark.fault
def test_late_answers_hold_every_later_step_back():
    """As on a GPU: asked at every fifth step, with the optimizer told by the device alone."""
    t = started(2, float("nan"), interval=100)
    t.watch.every = 5
    t.optimizer.found_inf = t.watch.skip
    steps = train_steps(t, 10)
    next(steps), next(steps)
    before, loss = weights(t), float(t.watch.loss)
    next(steps), next(steps), next(steps)
    assert all(torch.equal(a, b) for a, b in zip(weights(t), before, strict=True))
    assert float(t.watch.loss) == loss
    with pytest.raises(
        Diverged, match=r"gradient of conv1\.weight has no finite sum at step 2"
    ) as found:
        next(steps)
    assert found.value.step == 2


@pytest.mark.fault
def test_a_late_answer_comes_before_masks_move():
    t = started(2, float("nan"), interval=4)
    t.watch.every = 50
    t.optimizer.found_inf = t.watch.skip
    masks = t.masks.digest()
    with pytest.raises(Diverged, match="at step 2"):
        list(train_steps(t, 10))
    assert t.masks.digest() == masks


def test_losses_add_up_in_double():
    watch, values = Watch(torch.device("cpu"), every=1), [0.1, 0.7, 1e-9, 3.3]
    for step, value in enumerate(values):
        watch.note(step, torch.tensor(value), {})
    total = 0.0
    for value in values:
        total += float(torch.tensor(value))
    assert watch.take() == total
    assert watch.take() == 0.0


@pytest.mark.fault
def test_the_first_bad_step_is_named_and_what_was_bad_then():
    watch, one = Watch(torch.device("cpu"), every=9), torch.ones(3)
    watch.note(0, torch.tensor(1.0), {"a": one, "b": one})
    watch.require()
    watch.note(1, torch.tensor(1.0), {"a": one, "b": one / 0})
    watch.note(2, torch.tensor(float("nan")), {"a": one / 0, "b": one})
    with pytest.raises(Diverged, match=r"^gradient of b has no finite sum at step 1$"):
        watch.require()


@pytest.mark.fault
def test_a_diverged_run_ends_with_the_network_before_the_step(tmp_path):
    run = dataclasses.replace(make_run("set"), precision="fp32")
    data = Watched(lambda step, images, _: images * float("inf") if step == 7 else None)
    trained = train_to(tmp_path, run, data=data)
    assert (trained.status, trained.reason) == ("diverged", "loss is nan at step 7")
    whole = start(run, digits.load(), counts_of(run), None, How())
    list(train_steps(whole, 7))
    saved = load_file(tmp_path / "final.safetensors")
    for name, value in whole.model.state_dict().items():
        if "running" not in name and "num_batches" not in name:  # the forward pass came first
            assert torch.equal(saved[f"model/{name}"], value)


@pytest.mark.fault
def test_nothing_is_saved_of_a_run_that_has_diverged_without_knowing(tmp_path, monkeypatch):
    """As on a GPU: stopped between the bad step and the next look, it finds it again."""
    real = trainer.start

    def late(*args, **options):
        t = real(*args, **options)
        t.watch.every = 50
        t.optimizer.found_inf = t.watch.skip
        return t

    monkeypatch.setattr(trainer, "start", late)
    run = dataclasses.replace(make_run("set", interval=100), precision="fp32", model="mlp_small")
    data = Watched(lambda step, images, _: images * float("inf") if step == 17 else None)
    with pytest.raises(Requeue):
        train_to(tmp_path, run, data=data, checkpoint_steps=10, stop_after=23)
    status, reason, *_ = train_to(tmp_path, run, data=data)
    assert (status, "at step 17" in reason) == ("diverged", True)
    assert steps_resumed(tmp_path) == [10]


def steps_resumed(folder):
    events = [json.loads(line) for line in (folder / "events.jsonl").open()]
    return [event["step"] for event in events if event["event"] == "resumed"]
