"""What a method raises becomes one sentence with its own line of code; the toy suits its schedule.

The methods here are the tests' own (ours, 2026).
"""

import pickle
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from faults import Sound, mine
from test_contract_faults_masks import pruned_anew, shrinking

from resparse import registry
from resparse.contract import CHECKS, check, conduct, weights
from resparse.contract.toy import SHAPES, TOTAL, ours, toy_of
from resparse.errors import ContractBroken, UsageError
from resparse.masks import top_k
from resparse.method import Method, require
from resparse.schedules import is_due

HERE = Path(__file__)
FIRST = next(each for each in CHECKS if each.name.startswith("its masks are boolean"))


def line_of(text):
    """file:line where this file says ``text`` first."""
    lines = HERE.read_text().splitlines()
    return f"{HERE.name}:{next(i for i, line in enumerate(lines, 1) if text in line)}"


def sentence(cls, fields=None):
    with pytest.raises(ContractBroken) as found:
        FIRST(cls, fields or {}, name="mine")
    return str(found.value)


@dataclass(kw_only=True)
class Raising(Sound):
    """Raises what its subclasses say, at one step, among the layers."""

    def update_masks(self, step, layers):
        if step == 7:
            return {name: self.change(name) for name in layers}
        return Sound.update_masks(self, step, layers)

    def change(self, name):
        if name == "conv2":
            raise RuntimeError("two\n  lines")  # in conv2


def test_the_layer_is_the_one_at_hand_in_the_methods_own_frames():
    assert sentence(Raising) == (
        "method mine, step 7, layer conv2: update_masks raised RuntimeError: two lines "
        f"({line_of('# in conv2')}); valid: a dict of one Change for every layer that changes"
    )


@pytest.mark.parametrize("layer", SHAPES)
def test_the_layer_is_the_missing_key(layer):
    def change(self, name):
        return {}[layer]  # missing

    said = sentence(type("Mine", (Raising,), {"change": change, "__module__": __name__}))
    where = f"method mine, step 7, layer {layer}: update_masks raised KeyError: '{layer}'"
    assert said.startswith(f"{where} ({line_of('# missing')}); valid: ")


def nothing(*question):
    return None.shape  # of nothing


@pytest.mark.parametrize(
    ("what", "where"),
    [
        ("init_masks", "before step 0"),
        ("observe", "step 0"),
        ("updates_at", "step 0"),
        ("update_masks", "step 3"),
        ("nnz_at", "before step 0"),
        ("prepare_scoring", "before step 0"),
    ],
)
def test_each_question_is_named(what, where):
    said = sentence(mine(scores_at_init=True, __module__=__name__, **{what: nothing}))
    assert said.startswith(f"method mine, {where}: {what} raised AttributeError: 'NoneType'")
    assert f"({line_of('# of nothing')}); valid: " in said


def test_an_error_in_library_code_is_placed_at_the_methods_line_or_class():
    def update_masks(self, step, layers):
        return torch.cat([layers["fc1"].mask, layers["conv2"].mask])  # calls torch

    said = sentence(mine(update_masks=update_masks, __module__=__name__))
    assert f"({line_of('# calls torch')}); valid" in said
    said = sentence(mine(target_counts=None))
    assert "init_masks raised TypeError: 'NoneType' object is not callable (class Mine); va" in said


def test_exit_is_an_error_and_an_interrupt_passes():
    said = sentence(mine(observe=lambda self, step, layers: sys.exit(3)))
    assert said.startswith("method mine, step 0: observe raised SystemExit: 3")

    def interrupted(self, step, layers):
        raise KeyboardInterrupt

    heard = []
    with pytest.raises(KeyboardInterrupt):
        check(mine(observe=interrupted), {}, name="mine", progress=lambda *at: heard.append(at))
    assert heard[-1] == (FIRST.name, 0)  # where it was when it hung


def test_the_sentence_travels_between_processes():
    broken = ContractBroken("no mask; valid: one", step=-1, layer="fc1").of("mine")
    copy = pickle.loads(pickle.dumps(broken))
    assert str(copy) == "method mine, before step 0, layer fc1: no mask; valid: one"
    assert (copy.what, copy.step, copy.layer, copy.method) == (
        *("no mask; valid: one", -1, "fc1", "mine"),
    )
    assert isinstance(copy, UsageError)
    assert copy.exit_code == 5


def test_without_a_name_the_sentence_names_the_rest():
    with pytest.raises(ContractBroken, match=r"^step 7, layer conv2: update_masks raised"):
        FIRST(Raising, {})


# the toy's schedule


@dataclass(kw_only=True)
class Long(Sound):
    """Waits a number of steps first."""

    wait: int = 500

    def updates_at(self, step):
        return step >= self.wait and is_due(step, self.interval)


@dataclass(kw_only=True)
class Picky(Sound):
    """Takes few intervals."""

    def check(self):
        require(self.interval in (1, 3), "interval", self.interval, "1 or 3")


@dataclass(kw_only=True)
class Once(Sound):
    """Moves once, whatever its fields."""

    def updates_at(self, step):
        return step == 9


@dataclass(kw_only=True)
class Ending(Sound):
    """Moves at two of four intervals at most."""

    def updates_at(self, step):
        return is_due(step, self.interval) and step < 10


def test_a_schedule_is_shortened_until_masks_move_three_times():
    def steps(cls, fields):
        toy = toy_of(cls, fields)
        return dict(toy.fields), toy.due(toy.method())

    assert steps(Sound, {}) == ({"interval": 4}, [3, 7, 11, 15, 19])
    assert steps(Sound, {"interval": 9, "order": "replace"})[0] == {
        "interval": 4,
        "order": "replace",
    }
    assert steps(Sound, {"interval": 2})[0] == {"interval": 2}
    assert steps(Picky, {}) == ({"interval": 3}, [2, 5, 8, 11, 14, 17])
    assert steps(Ending, {}) == ({"interval": 3}, [2, 5, 8])
    assert steps(Long, {}) == ({"interval": 4, "wait": 1}, [3, 7, 11, 15, 19])
    assert steps(Long, {"wait": 2})[0] == {"interval": 4, "wait": 2}
    assert steps(Once, {}) == ({"interval": 4}, [9])
    assert steps(registry.load("static"), {}) == ({}, [])


def test_a_class_that_accepts_no_fields_of_the_toys_says_so():
    said = sentence(Picky, {"interval": 2, "order": "sideways"})
    assert said == (
        "method mine: the constructor raised ValueError: order = 'sideways'; valid: replace, after "
        "(class Picky); valid: fields that the method accepts on a network of 3 layers and 20 steps"
    )
    assert "unexpected keyword argument 'speed'" in sentence(Sound, {"speed": 1})


@pytest.mark.parametrize(
    ("text", "is_source"),
    [
        ("RigL (Evci et al. 2020): more.", True),
        ("Mine (ours, 2026): in a line.", True),
        ("Zhu & Gupta 2017. Per layer, as in\nGale et al.\n2019.", True),
        ("SNIP, Lee (2019), section 3", True),
        ("(Lee 2019b, equation 5)", True),
        ("Of Lee, 2019.", True),
        ("Trains 2000 steps (or 2020 epochs).", False),
        ("After step 1999, at most.", False),
        ("Step, 2000 steps at most; (Some 2000 steps)", False),
        ("2020", False),
        ("(ours)", False),
    ],
)
def test_a_source_is_a_name_with_its_year(text, is_source, monkeypatch):
    monkeypatch.setattr(sys.modules[Sound.__module__], "__doc__", text)
    if is_source:
        conduct.cites_a_source(toy_of(Sound, {}))
        return
    with pytest.raises(ContractBroken, match=r"valid: a name and its year, as in \(Evci et al"):
        conduct.cites_a_source(toy_of(Sound, {}))


def test_the_toy_gives_a_parent_and_gradients_where_they_are_asked_for():
    seen = {}

    def init_masks(self, layers):
        seen["grads"] = [layer.grad is not None for layer in layers.values()]
        seen["parent"] = self.parent and {n: int(m.sum()) for n, m in self.parent.masks.items()}
        return Method.init_masks(self, layers)

    FIRST(mine(init_masks=init_masks), {})
    assert seen == {"grads": [False, False, False], "parent": None}
    FIRST(mine(init_masks=init_masks, needs_parent=True, scores_at_init=True), {})
    assert seen == {"grads": [True, True, True], "parent": {"fc1": 10, "conv2": 15, "fc3": 15}}


def test_a_namesake_from_elsewhere_is_not_exempt():
    assert ours(registry.load("dense"), "dense", "small_dense")
    assert not ours(registry.load("rigl"), "dense", "small_dense")
    assert not ours(mine(__module__="dense"), "dense")
    assert toy_of(registry.load("dense"), {}).counts == {"fc1": 48, "conv2": 40, "fc3": 15}
    assert TOTAL == 20


# what only looks like a fault


def ranked(self, layers):
    """The largest weights; a draw is made for ties alone, and there are none."""
    counts = self.target_counts()
    return {n: top_k(x.weight.abs(), counts[n], ties=self.rng) for n, x in layers.items()}


def refusing(self, layers):
    if sum(self.target_counts().values()) < 10:
        raise ValueError("too few weights")
    return Method.init_masks(self, layers)


def test_what_only_looks_like_a_fault_passes():
    still = {"updates_at": Method.updates_at, "update_masks": Method.update_masks}
    conduct.other_seed_other_masks(toy_of(mine(init_masks=ranked, **still), {}))
    weights.no_layer_is_emptied(toy_of(mine(init_masks=refusing), {}))
    regrows = mine(  # as GraNet: fewer each time, but some return by their gradients
        init_masks=lambda self, layers: {n: x.mask | True for n, x in layers.items()},
        update_masks=pruned_anew,
        nnz_at=shrinking,
        random_growth_at=Method.random_growth_at,
    )
    weights.pruned_weights_stay_pruned(toy_of(regrows, {}))
