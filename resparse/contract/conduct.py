"""How a method behaves: what it declares, touches, draws and keeps, whatever its masks are."""

import dataclasses
import math
import random
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from resparse.contract.calls import same, streams_kept
from resparse.contract.run import OPTIMIZERS, Run
from resparse.contract.toy import PARENT_FLOPS, SIZES, TOTAL, Toy, ours
from resparse.errors import ContractBroken
from resparse.method import Method

UNSOURCED = ("dense",)  # no paper's invention
REWOUND = 5  # a parent's rewind step


def cites_a_source(toy: Toy) -> None:
    """A year in the docstring of the module."""
    text = getattr(sys.modules.get(toy.cls.__module__), "__doc__", None) or ""
    if not re.search(r"\b(19|20)\d\d\b", text) and not ours(toy.cls, *UNSOURCED):
        raise ContractBroken(
            "the file's docstring cites no source; valid: one with its year, as in "
            "(Evci et al. 2020) or (ours, 2026)"
        )


def declares_what_it_does(toy: Toy) -> None:
    """Known values of the class attributes, and no function that the trainer would never call."""
    method = toy.method()
    for name, valid in (
        ("grads", ("never", "update", "always")),
        ("budget", ("layer", "global")),
        ("order", ("replace", "after")),
    ):
        if getattr(method, name) not in valid:
            raise ContractBroken(f"{name} = {getattr(method, name)!r}; valid: {', '.join(valid)}")
    for name, called, how in (
        ("update_masks", toy.moves(), "an updates_at that says at which steps"),
        ("observe", method.grads == "always", 'grads = "always"'),
        ("prepare_scoring", method.scores_at_init, "scores_at_init = True"),
    ):
        if getattr(toy.cls, name) is not getattr(Method, name) and not called:
            raise ContractBroken(f"{name} is defined but never called; valid: {how}")


def updates_by_the_step_alone(toy: Toy) -> None:
    """updates_at is a pure function, due somewhere, and leaves steps to train."""
    method = toy.method()
    due, again = toy.due(method), toy.due(method)
    trained = Run(toy, watch=()).moved[1:]
    for other in (again, trained):
        for step in sorted(set(due) ^ set(other)):
            raise ContractBroken(
                f"updates_at({step}) is once True and once False; valid: an answer that depends "
                "on the step and the fields alone",
                step=step,
            )
    if toy.moves() and not due:
        raise ContractBroken(
            f"updates_at is True at none of {TOTAL} steps with {dict(toy.fields)}; valid: a "
            "schedule in shares of self.total_steps, or in steps under a field named interval"
        )
    if method.order == "replace" and len(due) == TOTAL:
        raise ContractBroken(
            "every optimizer step is replaced by an update; valid: a longer interval, or order "
            '"after"',
            step=0,
        )


def views_are_kept(toy: Toy) -> None:
    """Under every optimizer, whose momentum is shown too."""
    for optimizer in (None, *OPTIMIZERS):
        Run(toy, optimizer=optimizer, watch=("views",))


@contextmanager
def stirred() -> Iterator[None]:
    """Shared streams one draw past any seed, so that seeding them anew shows; restored after."""
    numpy: Any = sys.modules.get("numpy")
    of_random, of_numpy = random.getstate(), numpy and numpy.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.rand(1)
        random.random()
        if numpy:
            numpy.random.random()
        try:
            yield
        finally:
            random.setstate(of_random)
            if numpy:
                numpy.random.set_state(of_numpy)


def streams_are_kept(toy: Toy) -> None:
    """Also by what is asked outside training."""
    with stirred():
        method = Run(toy, watch=("streams",)).method
        with streams_kept("train_flops", None):
            toy.ask(None, "train_flops", lambda: method.train_flops(100.0, lambda step: 10.0))
        with streams_kept("random_growth_at", 0):
            toy.ask(0, "random_growth_at", lambda: method.random_growth_at(0))


def answers_twice_the_same(toy: Toy) -> None:
    """Run itself requires it."""
    Run(toy, watch=("twice",))


def difference(one: Run, other: Run) -> tuple[int, str] | None:
    """Step and layer of the first masks in which two trainings differ."""
    for step, masks, others in zip(one.moved, one.history, other.history, strict=True):
        for name, mask in masks.items():
            if not same(mask, others[name]):
                return step, name
    return None


def same_seed_same_masks(toy: Toy) -> None:
    """Two new instances, one after the other."""
    found = difference(Run(toy, watch=()), Run(toy, watch=()))
    if found is not None:
        raise ContractBroken(
            "two runs of the same seed have different masks; valid: draws from self.rng alone",
            step=found[0],
            layer=found[1],
        )


def other_seed_other_masks(toy: Toy) -> None:
    """Where it drew. A draw may decide ties only, so all scores tie before it is blamed."""
    for trial in (toy, dataclasses.replace(toy, tied=True)):
        one, other = (Run(trial, watch=(), seed=seed) for seed in (0, 1))
        dense = one.counts[0] == SIZES and len(one.history) == 1
        if one.drew_at is None or dense or difference(one, other) is not None:
            return
    raise ContractBroken(
        "it draws from self.rng here, but seeds 0 and 1 give the same masks; valid: self.rng as "
        "it comes, seeded for this step, and its draws used",
        step=one.drew_at,
    )


def saved_state_continues(toy: Toy) -> None:
    """A new instance that gets the saved state after every step: the same counts and masks."""
    whole, resumed = Run(toy, watch=()), Run(toy, watch=(), resumed=True)
    found = difference(whole, resumed)
    if found is not None:
        raise ContractBroken(
            "a run that is resumed has another mask; valid: what lives between calls kept in "
            "self.state, as tensors",
            step=found[0],
            layer=found[1],
        )
    for step, (said, again) in enumerate(zip(whole.announced, resumed.announced, strict=True)):
        if said != again:
            raise ContractBroken(
                f"nnz_at announces {said}, after a resume {again}; valid: what lives between "
                "calls kept in self.state, as tensors",
                step=step - 1,
            )


def flops_are_within_bounds(toy: Toy) -> None:
    """3 f_S to 3 f_D for each step, f_S as of the masks that it trains; before and after a run."""
    for start in (0, REWOUND) if toy.cls.needs_parent else (0,):
        trial = dataclasses.replace(toy, start=start)
        run = Run(trial, watch=())
        for method in (trial.method(), run.method):
            _require_flops(trial, method, run.moved)


def _require_flops(toy: Toy, method: Method, moved: list[int]) -> None:
    dense = 100.0

    def sparse(step: int) -> float:
        """Each mask has a cost of its own."""
        if step not in range(-1, TOTAL):
            raise ValueError(f"sparse({step}): the steps are -1 to {TOTAL - 1}")
        return 10.0 + max(at for at in moved if at <= step) % 7

    parts = toy.ask(None, "train_flops", lambda: method.train_flops(dense, sparse))
    if not isinstance(parts, dict) or parts.keys() != {"init", "train", "parent"}:
        raise ContractBroken(f"train_flops gave {parts!r}; valid: a dict of init, train, parent")
    each = [sparse(step - 1) for step in range(TOTAL)]
    steps = TOTAL - toy.start
    least = 3 * min(sum(each[toy.start :]), sum(each) * steps / TOTAL)
    scored = 3 * dense if method.scores_at_init else 0.0
    above = PARENT_FLOPS if method.needs_parent else 0.0
    for name, low, high, why in (
        ("train", least, 3 * dense * steps, "3 sparse(s - 1) to 3 dense for each step s"),
        ("init", scored, math.inf, "3 dense or more with scores_at_init, else 0 or more"),
        ("parent", above, above, "parent.train_flops, 0 without a parent"),
    ):
        value = parts[name]
        if not math.isfinite(value) or not low - 1e-6 <= value <= high + 1e-6:
            raise ContractBroken(
                f"train_flops gives {name} = {value}, not within {low} and {high}; valid: {why}"
            )
