"""Mixed precision, parts of batches and memory formats: how a run is computed, not what it is."""

import dataclasses

import pytest
import torch
from conftest import STEPS, counts_of, in_faults, make_run, train_to
from safetensors.torch import load_file
from torch import nn

from resparse import precision, workloads
from resparse.beginning import start
from resparse.data import digits
from resparse.errors import Requeue, UsageError
from resparse.how import How
from resparse.trainer import train_steps
from resparse.training import NEVER
from resparse.watch import Diverged

HALVES = ("bf16", "fp16")
RESUMED = [(kind, method) for kind in ("fp32", *HALVES) for method in ("set", "rigl", "snfs")]


def run_in(kind, method="set", model="resnet8", **fields):
    return dataclasses.replace(make_run(method, **fields), precision=kind, model=model)


@pytest.fixture
def onednn(monkeypatch):
    """On, as where halves are trained; portable numerics are without, and halves then slow."""
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", True)


def started(run, how=How()):  # noqa: B008 (frozen)
    return start(run, digits.load(), counts_of(run), None, how)


@pytest.mark.fault
@pytest.mark.usefixtures("onednn")
@pytest.mark.parametrize(("kind", "method"), in_faults(RESUMED, RESUMED[::4]))
def test_stopped_and_resumed_is_uninterrupted(kind, method, tmp_path):
    """Weights, masks and the scaler's state, whose scale grows or falls."""
    model = "resnet8" if kind == "fp32" else "mlp_small"  # convolutions in halves are slow
    run = run_in(kind, method, model, lr=0.3)
    whole = train_to(tmp_path / "whole", run)
    with pytest.raises(Requeue):
        train_to(tmp_path / "halves", run, stop_after=17)
    assert train_to(tmp_path / "halves", run) == whole
    assert whole.status == "completed"


@pytest.mark.parametrize("kind", HALVES)
def test_products_are_in_half_precision_and_weights_are_not(kind):
    t = started(run_in(kind))
    seen = []
    t.model.fc.register_forward_hook(lambda module, given, out: seen.append(out.dtype))
    list(train_steps(t, 4))
    assert set(seen) == {precision.HALVES[kind]}
    assert {p.dtype for p in t.model.parameters()} == {torch.float32}
    assert all(g.dtype == torch.float32 for g in t.gradients().values())


@pytest.mark.usefixtures("onednn")
@pytest.mark.parametrize("kind", in_faults(HALVES, ["bf16"]))
def test_half_precision_learns_as_much(kind, tmp_path):
    """fp32 within a few digits of 700: a scaler that does not unscale would move all."""
    runs = {k: run_in(k, model="mlp_small", steps=140) for k in ("fp32", kind)}
    plain, half = (train_to(tmp_path / k, run).outcome["top1_last"] for k, run in runs.items())
    assert plain > 60
    assert half == pytest.approx(plain, abs=6)


def overflowing(method, scale=2.0**40, **fields):
    """An fp16 run whose scale is too large for the first steps; the steps that its method saw."""
    t = started(run_in("fp16", method, **({"model": "mlp_small"} | fields)))
    t.scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    t.asked = []
    update = t.method.update_masks
    t.method.update_masks = lambda step, layers: t.asked.append(step) or update(step, layers)
    return t


@pytest.mark.fault
@pytest.mark.usefixtures("onednn")
@pytest.mark.parametrize("method", ["set", "rigl"])
def test_a_skipped_step_postpones_the_mask_update_to_the_next_finite_one(method):
    t = overflowing(method, interval=4)
    before, masks, skipped = [p.clone() for p in t.model.parameters()], t.masks.digest(), []
    for step in train_steps(t, 30):
        moved = any(
            not torch.equal(a, b) for a, b in zip(before, t.model.parameters(), strict=True)
        )
        if not moved and t.masks.digest() == masks:
            skipped.append(step)
            assert t.progress.postponed == (step - (step + 1) % 4 if step >= 3 else NEVER)
    assert skipped == list(range(len(skipped)))  # until the scale is small enough
    assert len(skipped) > 5
    first = (len(skipped) + 1) // 4 * 4 - 1  # the last update that had to wait
    assert t.asked[0] == first
    assert t.asked[1:] == [step for step in t.due if step > len(skipped)]
    assert t.progress.forward[1][0] == len(skipped)
    t.masks.check_counts(t.method.nnz_at(29))
    assert t.progress.postponed == NEVER


@pytest.mark.fault
@pytest.mark.usefixtures("onednn")
def test_what_is_observed_is_finite():
    """SNFS's average of gradients must not keep those of a skipped step."""
    t = overflowing("snfs", interval=4)
    list(train_steps(t, 20))
    assert all(bool(value.isfinite().all()) for value in t.method.state.values())


@pytest.mark.fault
@pytest.mark.usefixtures("onednn")
def test_a_postponed_update_survives_a_restart(tmp_path, monkeypatch):
    monkeypatch.setattr(
        precision, "scaler", lambda kind, device: torch.amp.GradScaler("cpu", init_scale=2.0**40)
    )
    run = run_in("fp16", "set", "mlp_small", interval=4)
    whole = train_to(tmp_path / "whole", run)
    with pytest.raises(Requeue):
        train_to(tmp_path / "halves", run, stop_after=5)
    assert train_to(tmp_path / "halves", run) == whole


@pytest.mark.fault
def test_gradients_that_are_infinite_at_any_scale_end_the_run():
    t = overflowing("set", scale=4.0, model="resnet8")
    t.model.conv1.weight.register_hook(lambda grad: grad / 0)
    with pytest.raises(Diverged, match="gradients at step 3 are not finite even unscaled"):
        list(train_steps(t, 30))


@pytest.mark.parametrize("method", ["rigl", "set", "snfs"])
def test_parts_of_a_batch_add_up_to_its_gradient(method):
    """Weights to the last digits, and the same masks: growth is by the whole batch's gradient."""
    run = run_in("fp32", method, "mlp_small")
    whole, parts = started(run), started(run, How(accumulate=4))
    for _ in zip(train_steps(whole, STEPS), train_steps(parts, STEPS), strict=True):
        pass
    assert parts.masks.digest() == whole.masks.digest()
    assert parts.watch.take() == pytest.approx(whole.watch.take(), rel=1e-5)
    for ours, theirs in zip(parts.model.parameters(), whole.model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_channels_last_is_the_same_training_in_another_order_of_memory(tmp_path):
    run = run_in("fp32")
    t = started(run, How(channels_last=True))
    assert t.model.conv1.weight.is_contiguous(memory_format=torch.channels_last)
    list(train_steps(t, 3))
    plain = started(run)
    list(train_steps(plain, 3))
    for ours, theirs in zip(t.model.parameters(), plain.model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    whole = train_to(tmp_path / "whole", run, how=How(channels_last=True))
    with pytest.raises(Requeue):
        train_to(tmp_path / "halves", run, how=How(channels_last=True), stop_after=17)
    assert train_to(tmp_path / "halves", run, how=How(channels_last=True)) == whole


def test_a_compiled_network_keeps_its_names(tmp_path, monkeypatch):
    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda net: compiled.append(net))  # noqa: PLW0108
    train_to(tmp_path, run_in("fp32"), how=How(compile=True))
    assert len(compiled) == 1
    assert "model/conv1.weight" in load_file(tmp_path / "final.safetensors")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"threads": 0}, "threads = 0; valid: 1 or more"),
        ({"accumulate": 3}, "accumulate = 3 parts of batches of 64; valid: a divisor"),
        ({"accumulate": 0}, "accumulate = 0 parts"),
        ({"channels_last": True}, "channels_last on the CPU; valid: on a GPU"),
        ({"compile": True}, "compile on the CPU; valid: on a GPU"),
    ],
)
def test_what_cannot_be_is_refused(how, said):
    with pytest.raises(UsageError, match=said):
        How(**how).require("fp32", 64)


def test_portable_numerics_take_no_other_way():
    with pytest.raises(UsageError, match="threads = 2, accumulate = 2 in portable numerics; val"):
        How(threads=2, accumulate=2).require("portable", 64)
    How().require("portable", 64)


def test_another_precision_is_another_workload():
    problem = workloads.workload("cifar10_mlp")
    assert workloads.computed_in(problem, None) is problem
    assert workloads.computed_in(problem, "bf16").precision == "bf16"
    assert workloads.computed_in(problem, "half").precision in HALVES
    with pytest.raises(UsageError, match="precision 'fp8'; valid: half, portable, fp64, fp32"):
        workloads.computed_in(problem, "fp8")


def test_a_record_says_what_it_was_computed_in():
    assert precision.facts("tf32", "cuda") == {
        "determinism": "seeded",
        "tf32": True,
        "autocast": "no",
    }
    assert precision.facts("bf16", "cpu") == {
        "determinism": "bitwise",
        "tf32": False,
        "autocast": "bfloat16",
    }
