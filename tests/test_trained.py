"""R_s of a whole run, and the share of weights that were trained for an interval."""

import dataclasses

import pytest
import torch
from conftest import STEPS, counts_of, make_run, parent_of, train_to

from resparse.beginning import start
from resparse.data import digits
from resparse.errors import Requeue
from resparse.how import How
from resparse.masks import Change
from resparse.models import maskable
from resparse.trainer import train_steps


def start_of(method, **fields):
    run = make_run(method, **fields)
    return start(run, digits.load(), counts_of(run), None, How())


def test_set_plus_explores_exactly_its_expectation(tmp_path):
    outcome = train_to(tmp_path, make_run("set_plus"))[2]
    assert outcome["rs_std"] == pytest.approx(0.0, abs=1e-7)  # rounding
    assert outcome["rs_z"] == pytest.approx(0.0, abs=1e-6)
    assert outcome["rs"] == pytest.approx(outcome["rs_expected"], abs=1e-12)
    assert outcome["rs"] > train_to(tmp_path / "set", make_run("set_itop"))[2]["rs"]


def test_the_update_at_the_last_step_explores_as_expected_too(tmp_path):
    # updates end steps 4, 8 and 12 of 12; the floor keeps the last one moving
    outcome = train_to(tmp_path, make_run("set_plus", 12, floor=0.3))[2]
    assert outcome["updates"] == 3
    assert outcome["rs"] == pytest.approx(outcome["rs_expected"], abs=1e-12)
    assert outcome["rs"] < 1  # and weights were left to explore


@pytest.mark.parametrize(("method", "moves"), [("set_itop", 0), ("rigl", 0), ("gmp", 1)])
def test_a_record_says_how_masks_and_rs_moved(method, moves, tmp_path):
    run = make_run(method)
    outcome, curves = train_to(tmp_path, run)[2:4]
    assert (outcome["rs_miss"], outcome["rs_fall"]) == (0.0, 0.0)
    pruned = outcome["maskable"] - sum(outcome["nnz"].values())
    assert outcome["nnz_change"] == moves * pruned
    assert curves["rs"][-1] == outcome["rs"]
    assert curves["rs"] == sorted(curves["rs"])
    assert len(curves["rs"]) == len(curves["train_loss"])


def test_a_record_says_where_a_history_forgot():
    t = start_of("set_itop")
    size = sum(mask.numel() for mask in t.masks.ever.values())
    for step in train_steps(t, 8):  # an update ends it
        if step == 4:
            for name, ever in t.masks.ever.items():
                ever.copy_(t.masks.mask[name])
    p = t.progress
    assert 0 < p.found - p.explored < size
    before = p.explored
    t.masks.ever = {name: mask.clone() for name, mask in t.masks.mask.items()}
    t.note_masks(8, 0)
    assert p.fall == before - p.active > 0


@pytest.mark.parametrize("method", ["set_itop", "snip_set_itop", "set", "rigl_itop"])
def test_trained_weights_are_those_of_masks_that_lived_a_whole_interval(method):
    # updates end steps 4, 8 .. 28 of 30: the masks that came at 28 lived two steps
    t = start_of(method, interval=4)
    union = {name: torch.zeros_like(mask) for name, mask in t.masks.mask.items()}
    lived, before = 0, dict(t.masks.mask)
    for step in train_steps(t, STEPS):
        lived += 1
        if (step + 1) % 4 == 0:
            assert lived == 4
            union = {name: union[name] | before[name] for name in union}
            lived, before = 0, dict(t.masks.mask)
    assert lived == 2
    t.note_trained()
    assert all(torch.equal(t.masks.trained[name], union[name]) for name in union)
    assert t.masks.explored(t.masks.trained) < t.masks.explored()


@pytest.mark.parametrize("steps", [12, 13, 15])
def test_masks_of_less_than_an_interval_before_the_end_are_not_trained(steps, tmp_path):
    # interval 4: the last masks come 0, 1 and 3 steps before the end; the floor keeps them moving
    outcome = train_to(tmp_path, make_run("set_itop", steps, floor=0.3))[2]
    assert outcome["updates"] == 3
    assert outcome["rs_trained"] < outcome["rs"]


def test_set_whose_exploration_ends_early_has_trained_all_it_explored(tmp_path):
    # T_end at half of 30 steps: the last masks come at step 12 and live 18
    outcome = train_to(tmp_path, make_run("set", t_end=0.5))[2]
    assert outcome["updates"] == 3
    assert outcome["rs_trained"] == outcome["rs"]


@pytest.mark.parametrize("method", ["static", "snip", "small_dense", "dense"])
def test_masks_that_never_move_are_trained_whole(method, tmp_path):
    outcome = train_to(tmp_path, make_run(method, 3))[2]
    nnz = sum(outcome["nnz"].values()) / outcome["maskable"]
    assert outcome["rs_trained"] == outcome["rs"] == nnz
    starved = {"snip": [], "small_dense": []}
    assert outcome.get("starved") == starved.get(method)


def test_a_starved_layer_is_named_in_the_outcome(tmp_path):
    outcome = train_to(tmp_path, make_run("snip", 3, at_least=60))[2]
    sizes = {name: weight.numel() for name, weight in maskable(start_of("snip").model).items()}
    assert outcome["starved"]
    assert all(outcome["nnz"][n] == min(60, sizes[n]) for n in outcome["starved"])
    assert sum(outcome["nnz"].values()) == 993


@pytest.mark.parametrize(
    ("method", "fields"),
    [("gmp", {"scope": "global"}), ("snfs", {"redistribution": "momentum"})],
)
def test_a_layer_that_an_update_would_have_emptied_is_named_also_after_a_resume(
    method, fields, tmp_path
):
    run = dataclasses.replace(make_run(method, 16, **fields), density=0.01)
    whole = train_to(tmp_path / "whole", run)[2]
    assert whole["starved"]
    assert all(whole["nnz"][name] >= 1 for name in whole["starved"])
    with pytest.raises(Requeue):  # after the last update
        train_to(tmp_path / "halves", run, stop_after=15)
    assert train_to(tmp_path / "halves", run)[2] == whole


def test_a_layer_stays_named_whatever_later_updates_say_of_it():
    t = start_of("gmp")
    now = {name: Change(mask, starved=name == "fc") for name, mask in t.masks.mask.items()}
    t.note_starved(now)
    t.note_starved(
        {name: Change(mask, starved=name == "conv1") for name, (mask, *_) in now.items()}
    )
    t.note_starved(now)
    assert t.progress.starved == ["fc", "conv1"]


def test_no_layer_is_named_where_none_would_have_been_emptied(tmp_path):
    assert "starved" not in train_to(tmp_path, make_run("gmp", 16, scope="global"))[2]


EVERY = """
interval: ClassVar[None] = None  # no field of that name
every: int = 4

def updates_at(self, step):
    return is_due(step, self.every)
"""


def test_the_interval_is_that_of_the_updates_whatever_the_field_is_called(brought, tmp_path):
    brought(name="named")
    brought(EVERY, name="unnamed")
    # updates end steps 4, 8 .. 28 of 30: the last masks live two steps
    named = train_to(tmp_path / "named", make_run("named"))[2]
    unnamed = train_to(tmp_path / "unnamed", make_run("unnamed"))[2]
    assert named["masks_sha256"] == unnamed["masks_sha256"]
    assert unnamed["rs_trained"] == named["rs_trained"] < named["rs"]


@pytest.mark.parametrize(
    ("ends", "lived"),
    [
        ((4, 8, 12), {0: 4, 4: 4, 8: 4, 12: 4}),  # at steps done: the interval of its masks
        ((10,), {0: 10, 10: 10}),  # one alone: from the start, as the last masks' too
        ((1, 11, 21), {0: 10, 1: 10, 11: 10, 21: 10}),  # the first masks live no interval
        ((9, 12, 20), {0: 3, 9: 3, 12: 8, 20: 8}),  # from update to update, however far apart
        ((4, 8, 12), {6: 4}),  # a rewound start, inside an interval
        ((), {0: 1}),
    ],
)
def test_an_interval_is_from_update_to_update(ends, lived):
    t = start_of("set")
    t.due = [end - 1 for end in ends]
    for installed, interval in lived.items():
        t.progress.installed = installed
        assert t.interval() == interval


def test_a_rewound_network_has_trained_nothing_before_its_start(tmp_path):
    run = make_run("ltr")
    t = start(run, digits.load(), counts_of(run), parent_of(run, tmp_path), How())
    assert t.progress.step == t.progress.installed == run.start_step > 0
