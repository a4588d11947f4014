"""Fabricated evidence: points of an experiment, and cells whose means a function says."""

from itertools import product

from resparse.claims.evidence import Cell, Evidence
from resparse.claims.point import Point

NOISE = {"top1": 0.1, "train_top1": 0.1, "rs": 0.0004}  # std over seeds; all else is exact
SHIFTS = {"train_top1": (0.0, 1.0, -1.0)}  # seeds of two metrics do not move together
MLP, RESNET34 = "mlp", "resnet34"
MODELS = (MLP, "vgg16", RESNET34)


def points(artifact, method, **axes):
    """Every combination of the values; several methods too."""
    lists = {k: v if isinstance(v, list | tuple) else [v] for k, v in axes.items()}
    methods = method if isinstance(method, list | tuple) else [method]
    return [
        Point(artifact=artifact, method=m, **dict(zip(lists, values, strict=True)))
        for m in methods
        for values in product(*lists.values())
    ]


def cells(where, metric, mean, level="paper", exact=False):
    """A cell of three seeds at each point; exact where the metric has no noise."""
    noise = None if exact or level == "printed" else NOISE.get(metric)
    shifts = SHIFTS.get(metric, (-1.0, 0.0, 1.0))
    found = []
    for point in where:
        value = mean(point) if callable(mean) else mean
        values = [(0, value)]
        if noise is not None:
            values = [(seed, value + noise * shift) for seed, shift in enumerate(shifts)]
        found.append(
            Cell(
                point=point,
                metric=metric,
                values=tuple(values),
                level=level,
                protocol=f"{point.model} at {level}",
                keys=tuple(f"{point.said()} {seed}" for seed, _ in values),
                exact=noise is None,
            )
        )
    return found


def evidence(*groups, planned=()):
    """All cells of several groups."""
    return Evidence(tuple(cell for group in groups for cell in group), tuple(planned))


def by(axis, table):
    """A mean looked up by the point's value on an axis."""
    return lambda point: table[getattr(point, axis)]
