"""The FLOPs of a run against a bill written step by step, from the masks each step really used."""

import dataclasses

import pytest
import torch
from conftest import counts_of, make_run, new_folder, parent_of, train_to

from resparse import registry
from resparse.beginning import start
from resparse.data import digits
from resparse.flops import layer_macs
from resparse.how import How
from resparse.method import Method, Parent
from resparse.models import build_model, maskable
from resparse.outcome import outcome_of
from resparse.trainer import train_steps

STEPS, BATCH = 15, 64


def forward(t, macs):
    """FLOPs of one image under the masks of now, from the masks themselves."""
    return sum(2 * macs[n] * int(mask.sum()) / mask.numel() for n, mask in t.masks.mask.items())


def billed(method, tmp_path, **fields):
    """The outcome of a run; per step the FLOPs of a batch under its masks; the dense network's."""
    run = make_run(method, STEPS, **fields)
    t = start(run, digits.load(), counts_of(run), None, How())
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


def by_hand(cls, total, **given):
    """A method on a layer of eight weights."""
    sizes = {"fc": 8}
    return cls(
        densities={"fc": 0.5}, sizes=sizes, total_steps=total, rng=torch.Generator(), **given
    )


class Plain(Method):
    """Asks for dense gradients at updates, and leaves its cost to the contract's default."""

    def updates_at(self, step):
        """After the second and the fourth step."""
        return step in (1, 3)


def test_a_dense_gradient_at_updates_costs_a_dense_networks_share_of_those_steps():
    # steps 0 and 1 cost 3 x 10, 2 and 3 cost 3 x 20; the gradients of step 1 are of a network of
    # 100 instead of 10, those of step 3 of 100 instead of 20: 180 + 90 + 80. Never those of 40
    forward = {-1: 10.0, 0: 10.0, 1: 20.0, 2: 20.0, 3: 40.0}
    cost = by_hand(Plain, 4).train_flops(100.0, forward.__getitem__)
    assert cost == {"init": 0.0, "train": pytest.approx(350.0), "parent": 0.0}


@pytest.mark.parametrize(("name", "train"), [("lth_set_itop", 180), ("lth", 120), ("ltr", 120)])
def test_a_rewound_run_pays_for_its_own_steps_only_and_the_parent_apart(name, train):
    # steps 4 to 7 of 8. lth_set_itop's updates end 5 and 7: two steps cost 3 x 10, two 3 x 20
    forward = {3: 10.0, 5: 20.0, 7: 40.0}
    parent = Parent(masks={}, train_flops=777.0, step=4)
    fields = {"interval": 2} if name == "lth_set_itop" else {}
    method = by_hand(registry.load(name), 8, parent=parent, **fields)
    cost = method.train_flops(100.0, forward.__getitem__)
    assert cost == {"init": 0.0, "train": pytest.approx(train), "parent": 777.0}


def test_a_rewind_to_the_end_is_refused():
    parent = Parent(masks={}, train_flops=777.0, step=8)
    with pytest.raises(ValueError, match="rewind step = 8; valid: 0 to 7"):
        by_hand(registry.load("lth"), 8, parent=parent)


def test_a_rewound_run_is_billed_and_explores_from_its_first_step(tmp_path):
    # updates end steps 8, 12, 16 and 20 of 20, not 4
    before = make_run("dense", 20, snapshots=(6,))
    run = dataclasses.replace(make_run("lth_set_itop", 20), parent=before, start_step=6)
    outcome = train_to(tmp_path / "child", run, parent_of(run, tmp_path))[2]
    assert outcome["updates"] == 4
    assert abs(outcome["rs_z"]) < 4
    macs = layer_macs(build_model("resnet8", 10, (1, 8, 8), 0), (1, 8, 8))
    dense = BATCH * 2 * sum(macs.values())  # the layers' counts stay, so every step costs the same
    train = 3 * outcome["test_flops"] * BATCH * 14
    assert outcome["train_flops"]["train"] == pytest.approx(train)
    assert outcome["train_flops"]["parent"] == pytest.approx(3 * dense * 20)


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
