"""The FLOPs of a run against a bill written step by step, from the masks each step really used."""

import pytest
import torch
from conftest import counts_of, make_run, new_folder

from resparse.data import digits
from resparse.flops import layer_macs
from resparse.models import build_model, maskable
from resparse.outcome import outcome_of
from resparse.trainer import train_steps
from resparse.training import start

STEPS, BATCH = 15, 64


def forward(t, macs):
    """FLOPs of one image under the masks of now, from the masks themselves."""
    return sum(2 * macs[n] * int(mask.sum()) / mask.numel() for n, mask in t.masks.mask.items())


def billed(method, tmp_path, **fields):
    """The outcome of a run; per step the FLOPs of a batch under its masks; the dense network's."""
    run = make_run(method, STEPS, **fields)
    t = start(run, digits.load(), counts_of(run), None, torch.device("cpu"))
    macs = layer_macs(build_model("resnet8", 10, (1, 8, 8), 0), (1, 8, 8))
    assert macs.keys() == maskable(t.model).keys()
    bill, steps = [], train_steps(t, STEPS)
    for _ in range(STEPS):
        bill.append(BATCH * forward(t, macs))
        next(steps)
    return (
        outcome_of(t, new_folder(tmp_path)),
        bill,
        BATCH * 2 * sum(macs.values()),
        forward(t, macs),
    )


def test_pruning_pays_for_each_step_what_its_masks_cost(tmp_path):
    # updates end steps 5, 10 and, at the end, 12 of 15
    outcome, bill, dense, last = billed("gmp", tmp_path, interval=5, begin=0.1, end=0.8)
    assert [bill[i] > bill[i + 1] for i in range(STEPS - 1)] == [
        step in (4, 9, 11) for step in range(STEPS - 1)
    ]
    assert bill[0] == dense
    assert outcome["train_flops"] == {
        "init": 0.0,
        "train": pytest.approx(3 * sum(bill), rel=1e-12),
        "parent": 0.0,
    }
    assert outcome["train_flops_vs_dense"] == pytest.approx(sum(bill) / (dense * STEPS))
    assert outcome["test_flops"] == pytest.approx(last)
    assert outcome["dense_forward_flops"] == dense / BATCH


def test_a_dense_gradient_costs_a_dense_networks_share_of_a_batch(tmp_path):
    outcome, bill, dense, _ = billed("snfs", tmp_path)
    expected = 2 * sum(bill) + dense * STEPS
    assert outcome["train_flops"]["train"] == pytest.approx(expected, rel=1e-12)
    assert outcome["train_flops_vs_dense"] == pytest.approx(expected / (3 * dense * STEPS))


def test_scoring_a_batch_costs_one_dense_step(tmp_path):
    outcome, bill, dense, _ = billed("snip", tmp_path)
    assert outcome["train_flops"]["init"] == pytest.approx(3 * dense, rel=1e-12)
    assert outcome["train_flops"]["train"] == pytest.approx(3 * sum(bill), rel=1e-12)
