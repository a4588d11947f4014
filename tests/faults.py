"""A sound method and ways to break it (ours, 2026).

It updates at steps 3, 7, 11, 15 and 19 of the toy's 20; each fault is one override of it.
"""

import itertools
from dataclasses import dataclass
from typing import ClassVar

import pytest

from resparse.contract import CHECKS, check
from resparse.errors import ContractBroken
from resparse.masks import top_k
from resparse.method import Method
from resparse.rules import random_growth, random_update
from resparse.schedules import is_due


@dataclass(kw_only=True)
class Sound(Method):
    """SET's rule at a fixed drop fraction."""

    order: str = "after"
    interval: int = 400
    grads: ClassVar[str] = "always"  # so that observe is called
    calls: ClassVar[itertools.count] = itertools.count()

    def observe(self, step, layers):
        """The mean magnitude of each layer's gradient, which decides nothing here."""
        for name, layer in layers.items():
            self.state[name] = layer.grad.abs().mean()

    def updates_at(self, step):
        return is_due(step, self.interval)

    def update_masks(self, step, layers):
        return random_update(self, layers, 0.4)

    def random_growth_at(self, step):
        return random_growth(self, 0.4)


def mine(**overrides):
    """The sound method with functions or attributes replaced."""
    return type("Mine", (Sound,), {"__doc__": "Broken.", "__module__": __name__} | overrides)


def fault(holds, says, *, step=None, layer=None, fields=None, early=False, **overrides):
    """Arguments of ``require_found``: the check that a method breaks, and its sentence.

    ``early``: the whole list meets the fault in an earlier check, in other words.
    """
    args = (mine(**overrides), fields or {}, holds, step, layer, says, early)
    return pytest.param(*args, id=f"{holds.__name__}: {says}")


def require_found(cls, fields, holds, step, layer, says, early):
    """The check finds it by itself, and so does the whole list: one sentence, the same."""
    moment = [] if step is None else ["before step 0" if step < 0 else f"step {step}"]
    where = ", ".join(["method mine", *moment, *([f"layer {layer}"] if layer else [])])
    (promise,) = (each for each in CHECKS if each.holds is holds)
    for ask in (promise,) if early else (promise, check):
        with pytest.raises(ContractBroken) as found:
            ask(cls, fields, name="mine")
        sentence = str(found.value)
        assert sentence.startswith(f"{where}: "), sentence
        assert says in sentence
        assert "valid" in sentence or "no docstring" in sentence
        assert "\n" not in sentence
        broken = found.value
        assert (broken.method, broken.step, broken.layer) == ("mine", step, layer)


def changed(what, change, at):
    """A function that answers as the sound one, but for conv2's part at one step."""

    def answer(self, *question):
        found = getattr(Sound, what)(self, *question)
        step = question[0] if isinstance(question[0], int) else -1
        return found | {"conv2": change(found["conv2"])} if step == at else found

    return answer


def shrunk(mask):
    """A mask with one weight less."""
    return mask & ~top_k(mask.float(), 1)
