"""A method's draws: a generator seeded anew before every call, by seed, purpose and step."""

import pytest
import torch
from conftest import counts_of, make_run

from resparse import registry
from resparse.beginning import start
from resparse.data import digits
from resparse.how import How
from resparse.masks import Change
from resparse.trainer import train_steps


def draws(method, seed, monkeypatch):
    """(call, step) -> the first number that the method's generator would give at that call."""
    cls, found = registry.load(method), {}

    def watched(call):
        original = getattr(cls, call)

        def see(self, *args):
            step = args[0] if len(args) == 2 else -1
            twin = torch.Generator()
            twin.set_state(self.rng.get_state())
            found[call, step] = float(torch.rand((), generator=twin, dtype=torch.float64))
            return original(self, *args)

        return see

    with monkeypatch.context() as patch:
        for call in ("init_masks", "observe", "update_masks"):
            patch.setattr(cls, call, watched(call))
        run = make_run(method, seed=seed)
        t = start(run, digits.load(), counts_of(run), None, How())
        list(train_steps(t, 12))
    return found


@pytest.mark.parametrize("method", ["set", "rigl", "snfs"])
def test_draws_differ_between_seeds_and_steps_and_repeat(method, monkeypatch):
    first, again, other = (draws(method, seed, monkeypatch) for seed in (0, 0, 1))
    updates = [("update_masks", step) for step in (3, 7, 11)]
    seen = [("observe", step) for step in range(12)] if method == "snfs" else []
    assert sorted(first) == sorted([("init_masks", -1), *updates, *seen])
    assert first == again
    assert not set(first.values()) & set(other.values())
    for found in (first, other):
        assert len({found[key] for key in [("init_masks", -1), *updates]}) == 4
        assert len({found[key] for key in seen}) == len(seen)


def test_an_update_draws_alike_however_much_was_drawn_before(monkeypatch):
    cls = registry.load("set")
    expected = draws("set", 0, monkeypatch)
    original = cls.init_masks

    def greedy(self, layers):
        masks = original(self, layers)
        torch.rand(1000, generator=self.rng)
        return masks

    def idle(self, step, layers):
        torch.rand(step, generator=self.rng)
        return {name: Change(layer.mask) for name, layer in layers.items()}

    monkeypatch.setattr(cls, "init_masks", greedy)
    monkeypatch.setattr(cls, "update_masks", idle)
    assert draws("set", 0, monkeypatch) == expected
