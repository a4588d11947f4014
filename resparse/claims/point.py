"""One point of an experiment, and which points a claim's filter means."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Value = str | float
Where = Mapping[str, Any]  # axis -> a value, a list of values, a range, "largest" or "smallest"
ENDS = ("largest", "smallest")
RANGE = ("at_least", "at_most", "below", "above")


@dataclass(frozen=True, kw_only=True)
class Point:
    """Where in an experiment a number belongs; None: the point has no such axis.

    ``method`` is the paper's label (Static, SET, SNIP-SET-ITOP, SET-stopped). ``length`` counts
    typical trainings, ``interval`` and ``steps`` optimizer steps; ``sparsity`` and ``alpha`` are
    shares.
    """

    artifact: str
    method: str
    model: str | None = None
    dataset: str | None = None
    distribution: str | None = None
    sparsity: float | None = None
    alpha: float | None = None
    interval: float | None = None
    batch_size: float | None = None
    length: float | None = None
    lr: float | None = None
    steps: float | None = None

    def said(self) -> str:
        """What sets the point apart, for people: ``SET, resnet34, sparsity 0.95``.

        >>> Point(artifact="figure3", method="SET", model="mlp", interval=1500).said()
        'SET, mlp, interval 1500 (figure3)'
        """
        names = [str(v) for v in (self.method, self.model, self.dataset, self.distribution) if v]
        numbers = [
            f"{axis.replace('_', ' ')} {getattr(self, axis):g}"
            for axis in NUMBERS
            if getattr(self, axis) is not None
        ]
        return f"{', '.join([*names, *numbers])} ({self.artifact})"


NAMES = ("artifact", "method", "model", "dataset", "distribution")
NUMBERS = ("sparsity", "alpha", "interval", "batch_size", "length", "lr", "steps")
AXES = (*NAMES, *NUMBERS)


def meant(point: Point, where: Where) -> bool:
    """Whether the point is among those of ``where``; an axis it lacks does not shut it out.

    Ends ("largest") exclude nothing here: they are of several points, see ``at_end``.

    >>> dense = Point(artifact="figure4", method="Dense", length=1.0)
    >>> meant(dense, {"method": ["Dense", "SET"], "sparsity": 0.95, "length": {"at_most": 2}})
    True
    >>> meant(dense, {"method": "SET"})
    False
    """
    return all(fits(getattr(point, axis), wanted) for axis, wanted in where.items())


def fits(value: Value | None, wanted: Any) -> bool:
    """Whether a value is the wanted one, one of a list, or in a range; ends and None always fit."""
    if value is None or wanted in ENDS:
        return True
    if isinstance(wanted, Mapping):
        number = float(value)
        return (
            wanted.get("at_least", number) <= number <= wanted.get("at_most", number)
            and ("below" not in wanted or number < wanted["below"])
            and ("above" not in wanted or number > wanted["above"])
        )
    return value in wanted if isinstance(wanted, list | tuple) else bool(value == wanted)


def at_end(points: Iterable[Point], where: Where) -> list[Point]:
    """The points of ``where`` that also lie at the ends it names, axis after axis.

    >>> sweep = [Point(artifact="figure6", method="SET", batch_size=b) for b in (8, 64, 128)]
    >>> [p.batch_size for p in at_end(sweep, {"method": "SET", "batch_size": "largest"})]
    [128]
    """
    left = [point for point in points if meant(point, where)]
    for axis, wanted in where.items():
        if wanted in ENDS:
            end = max if wanted == "largest" else min
            found = [getattr(p, axis) for p in left if getattr(p, axis) is not None]
            left = [p for p in left if getattr(p, axis) in (None, end(found, default=None))]
    return left


def said(where: Where) -> str:
    """A filter for people.

    >>> said({"method": "SET", "sparsity": {"at_least": 0.95}, "batch_size": "largest"})
    'SET, sparsity at least 0.95, largest batch size'
    """
    return ", ".join(_said(axis.replace("_", " "), wanted) for axis, wanted in where.items())


def _said(axis: str, wanted: Any) -> str:
    if wanted in ENDS:
        return f"{wanted} {axis}"
    if isinstance(wanted, Mapping):
        limits = [f"{name.replace('_', ' ')} {value:g}" for name, value in wanted.items()]
        return f"{axis} {' and '.join(limits)}"
    if isinstance(wanted, list | tuple):
        return " or ".join(_said(axis, value) for value in wanted)
    return str(wanted) if axis in NAMES else f"{axis} {wanted:g}"
