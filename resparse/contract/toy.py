"""The network of three layers and 20 steps on which any method is held to its contract.

Weights and dense gradients are drawn once, the same for every method and seed.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Generator, Tensor

from resparse import registry
from resparse.contract.blame import blamed
from resparse.contract.shared import settings_kept
from resparse.errors import ContractBroken
from resparse.masks import top_k
from resparse.method import Method, Parent

SHAPES: dict[str, tuple[int, ...]] = {"fc1": (8, 6), "conv2": (5, 2, 2, 2), "fc3": (3, 5)}
SIZES = {name: math.prod(shape) for name, shape in SHAPES.items()}
COUNTS = {"fc1": 10, "conv2": 15, "fc3": 15}  # fc3 is dense, as small layers are under ERK
SIDE = 10  # of a large toy: this many times the outputs and inputs of every layer
SCARCE = {"fc1": 2, "conv2": 2, "fc3": 1}  # a global ranking would rather do without fc3
TOTAL = 20
LONG = 104  # steps, for what shows only after many updates
INTERVAL = 4  # steps between updates: short enough for three of them
PARENT_FLOPS = 7.0

Step = Mapping[str, tuple[Tensor, Tensor]]  # weight and dense gradient of every layer
Answer = TypeVar("Answer")


def enlarged() -> dict[str, tuple[int, ...]]:
    """The shapes of a large toy."""
    return {n: (SIDE * s[0], SIDE * s[1], *s[2:]) for n, s in SHAPES.items()}


def draws(
    seed: int = 3, total: int = TOTAL, *, tied: bool = False, large: bool = False
) -> list[Step]:
    """Standard normal weights and dense gradients of every step; ``tied``: their signs only."""
    shapes = enlarged() if large else SHAPES
    rng = Generator().manual_seed(seed)

    def pair(shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        weight, grad = torch.randn(2, *shape, generator=rng)
        return (weight.sign(), grad.sign()) if tied else (weight, grad)

    return [{name: pair(shape) for name, shape in shapes.items()} for _ in range(total)]


def ours(cls: type[Method], *names: str) -> bool:
    """Whether the class is one of these files in methods/, and not a namesake from elsewhere."""
    return cls.__module__ in {f"resparse.methods.{name}" for name in names}


def _silent(step: int) -> None:
    """Nobody listens."""


@dataclass(frozen=True)
class Toy:
    """A method's class, the fields it is tried with, and the trial.

    ``progress`` is told the step before each call of the method.
    """

    cls: type[Method]
    fields: Mapping[str, Any]
    scarce: bool = False  # 5 of 103 weights in place of 40
    tied: bool = False  # all weights and gradients are 1 or -1: ties alone decide
    large: bool = False  # 100 times as many weights, of the same densities
    start: int = 0  # the parent's rewind step
    total: int = TOTAL  # steps
    progress: Callable[[int], None] = _silent

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the weights by layer."""
        return enlarged() if self.large else SHAPES

    @property
    def sizes(self) -> dict[str, int]:
        """Weights per layer."""
        return {name: math.prod(shape) for name, shape in self.shapes.items()}

    @property
    def counts(self) -> dict[str, int]:
        """Active weights per layer that the densities ask for."""
        if ours(self.cls, "dense"):
            return self.sizes
        counts = SCARCE if self.scarce else COUNTS
        return {n: count * self.sizes[n] // SIZES[n] for n, count in counts.items()}

    def long(self) -> "Toy":
        """The same of many more steps."""
        return dataclasses.replace(self, total=LONG)

    def fresh(self) -> "Toy":
        """The same with the method's file read anew: nothing that its module kept is there."""
        return dataclasses.replace(self, cls=registry.fresh(self.cls))

    def first(self) -> Step:
        """Initial weights, and the gradients that a method sees which scores at the start."""
        return draws(seed=9, total=1, tied=self.tied, large=self.large)[0]

    def parent(self) -> Parent:
        """A finished run with random masks of the same counts and random weights."""
        rng = Generator().manual_seed(5)
        scores = {name: torch.rand(shape, generator=rng) for name, shape in self.shapes.items()}
        weights = draws(seed=6, total=1, tied=self.tied, large=self.large)[0]
        return Parent(
            masks={name: top_k(score, self.counts[name]) for name, score in scores.items()},
            train_flops=PARENT_FLOPS,
            step=self.start,
            weights={n: w for n, (w, _) in weights.items()},
        )

    def ask(self, step: int | None, what: str, question: Callable[[], Answer]) -> Answer:
        """The answer to a question about ``what``; ContractBroken in place of an exception."""
        self.progress(-1 if step is None else step)
        with settings_kept(what, step), blamed(self.cls, what, step, SHAPES):
            return question()

    def method(self) -> Method:
        """A new instance."""
        parent = self.parent() if self.cls.needs_parent else None
        return self.ask(
            None,
            "the constructor",
            lambda: self.cls(
                densities={name: count / self.sizes[name] for name, count in self.counts.items()},
                sizes=self.sizes,
                total_steps=self.total,
                rng=Generator(),  # by this name it may be made (see shared.no_chance)
                parent=parent,
                **self.fields,
            ),
        )

    def due(self, method: Method) -> list[int]:
        """The steps at which the masks may move."""
        steps = range(self.total)
        return [s for s in steps if self.ask(s, "updates_at", partial(method.updates_at, s))]

    def moves(self) -> bool:
        """Whether the class has a schedule at all."""
        return self.cls.updates_at is not Method.updates_at


def variants(cls: type[Method], fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The fields with ever shorter intervals, then with lengths in steps cut to the toy's."""
    own = registry.own_fields(cls) | dict(fields)
    long = [n for n, v in own.items() if type(v) is int and v > TOTAL and n != "interval"]
    interval = own.get("interval")
    shorter = range(min(interval, INTERVAL), 0, -1) if type(interval) is int else ()
    for cut in ({}, dict.fromkeys(long, TOTAL), dict.fromkeys(long, 1)) if long else ({},):
        for steps in shorter or (None,):
            yield {**fields, **cut, **({} if steps is None else {"interval": steps})}


def toy_of(
    cls: type[Method], fields: Mapping[str, Any], progress: Callable[[int], None] = _silent
) -> Toy:
    """The class with the first of its ``variants`` that it accepts and that moves masks thrice.

    Else the one with most updates. Raises ContractBroken where the class accepts none.
    """
    accepted: list[tuple[int, Toy]] = []
    refused: ContractBroken | None = None
    for variant in variants(cls, fields):
        toy = Toy(cls, variant, progress=progress)
        try:
            method = toy.method()
        except ContractBroken as broken:
            refused = refused or broken
            continue
        accepted.append((len(toy.due(method)), toy))
        if accepted[-1][0] >= 3 or not toy.moves():
            return toy
    if not accepted:
        assert refused is not None
        raise refused
    return max(accepted, key=lambda pair: pair[0])[1]
