"""Faults that only a method's own file can have: what its module keeps, how its strings hash."""

import datetime
import os
import random
import tempfile
import time
from pathlib import Path

import pytest
import torch
from contract import CASES, name_of, usual

from resparse import registry
from resparse.contract import CHECKS, check, conduct, elsewhere
from resparse.contract.shared import CHANCE, SETTINGS, no_chance
from resparse.contract.toy import SHAPES
from resparse.errors import ContractBroken

IN_A_SET = """
def update_masks(self, step, layers):
    chosen = {n: layers[n] for n in set(layers)}
    return random_update(self, chosen, 0.3)
"""
BY_HASH = """
def init_masks(self, layers):
    self.rng.manual_seed(hash("mine") % 2**31)
    return Method.init_masks(self, layers)
"""
REMEMBERED = """
grads: ClassVar[str] = "always"

def observe(self, step, layers):
    for n, x in layers.items():
        PAST[n] = 0.9 * PAST.get(n, torch.zeros_like(x.grad)) + x.grad

def update_masks(self, step, layers):
    return {
        n: drop_and_grow(x.mask, x.weight.abs(), PAST[n].abs(), 0.3, ties=self.rng)
        for n, x in layers.items()
    }
"""
LATE = """
grads: ClassVar[str] = "update"

def update_masks(self, step, layers):
    self.past = getattr(self, "past", {}) | {step: {n: x.grad.abs() for n, x in layers.items()}}
    long = len(self.past) > 8
    scores = {n: sum(p[n] for p in self.past.values()) if long else x.grad.abs()
              for n, x in layers.items()}
    return {n: drop_and_grow(x.mask, x.weight.abs(), scores[n], 0.3, ties=self.rng)
            for n, x in layers.items()}
"""
CLOCK = """
def update_masks(self, step, layers):
    self.rng.manual_seed(int(now()) // 600)
    return random_update(self, layers, 0.3)
"""
CACHED = """
def init_masks(self, layers):
    counts = self.target_counts()
    for n, x in layers.items():
        PAST.setdefault(n, self.uniform_like(x.mask))
    return {n: top_k(PAST[n], counts[n]) for n in layers}
"""
FAULTS = {
    "in_a_set": (elsewhere.same_masks_elsewhere, IN_A_SET, 3, None, "in another process; valid"),
    "by_hash": (elsewhere.same_masks_elsewhere, BY_HASH, -1, "fc1", "in another process; valid"),
    "remembered": (conduct.saved_state_continues, REMEMBERED, 3, "fc1", "a run that is resumed"),
    "late": (conduct.saved_state_continues, LATE, 35, "fc1", "resumed has another mask; valid"),
    "clock": (conduct.streams_are_kept, CLOCK, 3, "", "update_masks used time.monotonic, which"),
    "cached": (conduct.same_seed_same_masks, CACHED, -1, "fc1", "the module has seen another seed"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_misbehaves_is_found_first_by_its_check(fault, brought):
    holds, body, step, layer, says = FAULTS[fault]
    cls = brought(body, top="from time import monotonic as now\n\nPAST = {}\n")
    (promise,) = (each for each in CHECKS if each.holds is holds)
    with pytest.raises(ContractBroken) as found:
        promise(cls, {}, name="mine")
    assert found.value.step == step
    assert found.value.layer in ([layer or None] if layer is not None else SHAPES)
    assert says in str(found.value)
    assert "valid: " in str(found.value)


def test_the_sound_file_passes_every_check(brought):
    assert check(brought(), {}, name="mine") == [each.name for each in CHECKS]


def test_our_own_have_the_same_masks_in_another_process():
    cases = list(CASES)
    asked = [(name_of(case), registry.source(name_of(case)), CASES[case]) for case in cases]
    for case, there in zip(cases, elsewhere.masks_elsewhere(asked), strict=True):
        # the parent of ltr is rewound here only, which no mask depends on
        assert elsewhere.digests(usual(case)) == there, case


def test_a_method_that_fails_elsewhere_alone_says_so(brought):
    cls = brought("def updates_at(self, step):\n    return 1 // (HERE == os.getpid()) > 1",
                  top=f"import os\nHERE = {os.getpid()}\n")  # fmt: skip
    with pytest.raises(ContractBroken, match=r"in another process .* ZeroDivisionError"):
        elsewhere.same_masks_elsewhere(conduct.Toy(cls, {}))


def test_a_file_read_anew_is_another_class_of_the_same_name(brought):
    cls = brought(top="\nPAST = {}\n")
    again = registry.fresh(cls)
    assert again is not cls
    assert again.__qualname__ == cls.__qualname__
    assert registry.load("mine") is cls
    assert registry.fresh(conduct.Toy) is conduct.Toy  # of no method's file


def test_what_a_method_may_not_touch_is_put_back_whatever_happens():
    originals = torch.Generator, random.Random, time.time, datetime.datetime, os.getpid

    def failing():
        assert time.time is not originals[2]
        assert isinstance(torch.default_generator, torch.Generator)
        assert isinstance(originals[3].max, datetime.datetime)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), no_chance(registry.load("set"), "it", 0):
        failing()
    assert (torch.Generator, random.Random, time.time, datetime.datetime, os.getpid) == originals
    assert time.time() > 0
    assert set(CHANCE) >= {"torch", "random", "numpy.random", "time"}
    assert all(read() is not None for read, _ in SETTINGS.values())


def test_a_library_may_make_what_a_method_may_not(tmp_path):
    with no_chance(registry.load("set"), "it", 0):
        (tmp_path / "a").touch()
        assert [Path(p).name for p in tempfile.mkstemp(dir=tmp_path)[1:]]
