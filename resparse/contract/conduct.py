"""How a method behaves: what it declares, touches, draws and keeps, whatever its masks are."""

import dataclasses
import random
import re
import sys
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from resparse.contract.calls import same
from resparse.contract.run import OPTIMIZERS, Run
from resparse.contract.shared import no_chance, streams_kept
from resparse.contract.toy import SIZES, TOTAL, Toy, ours
from resparse.errors import ContractBroken
from resparse.method import Method
from resparse.promises import cost_fault

UNSOURCED = ("dense",)  # no paper's invention
NAME, YEAR = r"(?:et al\.?|ours|[A-Z][\w'-]+)", r"(?:19|20)\d\d[a-z]?\b(?! *(?:steps|epochs))"
SOURCE = (
    re.compile(  # Evci et al. 2020; Zhu & Gupta 2017; Lee (2019); ours, 2026; (Lee 2019, eq. 5)
        rf"(?:et al\.?|(?:&|and) [A-Z][\w'-]+) {YEAR}"
        rf"|{NAME} \({YEAR}|{NAME}, {YEAR}"
        rf"|\([^()]*\b{NAME} {YEAR} *[,;)]"
    )
)
REWOUND = 5  # a parent's rewind step


def cites_a_source(toy: Toy) -> None:
    """A name with its year in the docstring of the module; a number alone may be anything."""
    text = getattr(sys.modules.get(toy.cls.__module__), "__doc__", None) or ""
    if not SOURCE.search(" ".join(text.split())) and not ours(toy.cls, *UNSOURCED):
        raise ContractBroken(
            "the file's docstring cites no source; valid: a name and its year, as in "
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
    """By the constructor, over many updates, and by what is asked outside training."""
    with stirred():
        with _alone(toy, "the constructor", None):
            toy.method()
        method = Run(toy.long(), watch=("streams",)).method
        with _alone(toy, "train_flops", None):
            toy.ask(None, "train_flops", lambda: method.train_flops(100.0, lambda step: 10.0))
        with _alone(toy, "random_growth_at", 0):
            toy.ask(0, "random_growth_at", lambda: method.random_growth_at(0))


@contextmanager
def _alone(toy: Toy, what: str, step: int | None) -> Iterator[None]:
    with streams_kept(what, step), no_chance(toy.cls, what, step):
        yield


def settings_are_kept(toy: Toy) -> None:
    """Each call of the method is watched for it, in every check."""
    Run(toy, watch=())


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
    """Two new instances, one after the other; another seed has left nothing in the module."""
    for seed, other, why in (
        (0, toy, ""),
        (1, toy.fresh(), " where the module has seen another seed before"),
    ):
        found = difference(Run(toy, watch=(), seed=seed), Run(other, watch=(), seed=seed))
        if found is not None:
            raise ContractBroken(
                f"two runs of the same seed have different masks{why}; valid: draws from self.rng "
                "alone, and what is kept in self.state",
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
    """After every step a new instance, its file read anew, with the saved state: the same masks.

    And the same counts, over many updates.
    """
    whole, resumed = (Run(toy.long(), watch=(), resumed=after) for after in (False, True))
    found = difference(whole, resumed)
    if found is not None:
        raise ContractBroken(
            "a run that is resumed has another mask; valid: what lives between calls kept in "
            "self.state, as tensors, not in attributes or in the module",
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
    """f_S as of the masks that each step trains; before and after a run, a short and a long one."""
    starts = (0, REWOUND) if toy.cls.needs_parent else (0,)
    for trial in (toy, toy.long()):
        for start in starts:
            begun = dataclasses.replace(trial, start=start)
            run = Run(begun, watch=())
            for method in (begun.method(), run.method):
                _require_flops(begun, method, run.moved)


def _require_flops(toy: Toy, method: Method, moved: list[int]) -> None:
    dense = 100.0

    def sparse(step: int) -> float:
        """Each mask has a cost of its own."""
        if step not in range(-1, toy.total):
            raise ValueError(f"sparse({step}): the steps are -1 to {toy.total - 1}")
        return 10.0 + moved[bisect_right(moved, step) - 1] % 7

    parts = toy.ask(None, "train_flops", lambda: method.train_flops(dense, sparse))
    wrong = cost_fault(method, parts, dense=dense, sparse=sparse, due=moved[1:], first=toy.start)
    if wrong is not None:
        raise ContractBroken(wrong)
