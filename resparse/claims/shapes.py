"""Comparisons of points and of one sweep: part of a claim -> support by the cells of a view."""

from itertools import pairwise

from resparse.claims.contrast import Term, about_equal, correlated, exceeds
from resparse.claims.evidence import Cell
from resparse.claims.part import (
    Above,
    Agree,
    Along,
    Below,
    Best,
    Bound,
    Equal,
    Falls,
    Flattens,
    Peak,
    Saturates,
    Threshold,
    Trend,
    Turns,
)
from resparse.claims.point import Point, Value, Where
from resparse.claims.support import Support, all_of, any_of
from resparse.claims.view import Gap, View, side
from resparse.schedules import cosine

LEAST_POINTS = 2  # that a rise and a plateau need: seeds of one point are no trend


def _constant(value: float, like: Cell) -> Term:
    """A number as a cell without spread, so that it is compared as all else is."""
    point = Point(artifact=like.point.artifact, method=f"{value:g}")
    cell = Cell(
        point=point,
        metric=like.metric,
        values=((0, value),),
        level=like.level,
        protocol=like.protocol,
        exact=True,
    )
    return Term(1.0, cell)


def _two(view: View, part: Above | Below | Equal, at: Where) -> tuple[Term, Term, str]:
    left = view.term(part.left, part.metric, at)
    if part.right is None:
        right = _constant(part.value, left.cell)
        return left, right, f"{left.said()} - {part.value:g}"
    right = view.term(part.right, part.metric, at)
    return left, right, f"{left.said()} - {right.said()}"


def minus(term: Term) -> Term:
    """The term with its sign turned."""
    return Term(-term.weight, term.cell)


def above(part: Above, view: View, at: Where) -> Support:
    """Left over right by more than the margin."""
    left, right, text = _two(view, part, at)
    return exceeds([left, minus(right)], part.margin, view.spread, text)


def below(part: Below, view: View, at: Where) -> Support:
    """Left under right by more than the margin."""
    left, right, text = _two(view, part, at)
    return exceeds([minus(left), right], part.margin, view.spread, f"-({text})")


def equal(part: Equal, view: View, at: Where) -> Support:
    """Left and right about equal."""
    left, right, text = _two(view, part, at)
    return about_equal([left, minus(right)], part.margin, view.spread, text)


def sweep(view: View, table: Where, metric: str, at: Where, axis: str, walk: str) -> list[Term]:
    """The cells of a sweep in the order walked; raises Gap for fewer than two."""
    values: list[Value] = view.values(axis, [table], metric, at)
    if walk == "down":
        values = values[::-1]
    if len(values) < 2:
        raise Gap(f"{len(values)} values of {axis.replace('_', ' ')}; a sweep needs two or more")
    own = {key: wanted for key, wanted in table.items() if key != axis}
    return [view.term(own, metric, {**at, axis: value}) for value in values]


def _walked(part: Along, view: View, at: Where) -> list[Term]:
    return sweep(view, part.of, part.metric, at, part.along, part.walk)


def over(first: Term, second: Term, margin: float, view: View) -> Support:
    """The first above the second by more than the margin."""
    text = f"{first.said()} - {second.said()}"
    return exceeds([first, minus(second)], margin, view.spread, text)


def trend(part: Trend, view: View, at: Where) -> Support:
    """Each step goes the way; with ``step``, the ends do and no step loses more than that."""
    terms = _walked(part, view, at)
    terms = terms if part.goes == "up" else terms[::-1]
    if part.step is None:
        return all_of([over(b, a, part.margin, view) for a, b in pairwise(terms)])
    kept = [over(b, a, -part.step, view) for a, b in pairwise(terms)]
    return all_of([over(terms[-1], terms[0], part.margin, view), *kept])


def peak(part: Peak, view: View, at: Where) -> Support:
    """For one of the points: above base, and no step down to it loses more than ``step``."""
    terms = _walked(part, view, at)
    base = view.term(part.base, part.metric, {k: v for k, v in at.items() if k != part.along})
    return any_of(
        [
            all_of(
                [
                    over(top, base, part.margin, view),
                    *(over(b, a, -part.step, view) for a, b in pairwise(terms[: place + 1])),
                ]
            )
            for place, top in enumerate(terms)
        ]
    )


def falls(part: Falls, view: View, at: Where) -> Support:
    """The last point is below one of the earlier."""
    *earlier, last = _walked(part, view, at)
    return any_of([over(top, last, part.margin, view) for top in earlier])


def turns(part: Turns, view: View, at: Where) -> Support:
    """Up from the first to some point, down to a later one, up to the last."""
    terms = _walked(part, view, at)
    if len(terms) < 4:
        raise Gap(f"{len(terms)} values of {part.along}; two turns need four or more")
    first, *inner, last = terms
    margin = part.margin
    return any_of(
        [
            all_of(
                [
                    over(top, first, margin, view),
                    over(top, low, margin, view),
                    over(last, low, margin, view),
                ]
            )
            for place, top in enumerate(inner)
            for low in inner[place + 1 :]
        ]
    )


def flattens(part: Flattens, view: View, at: Where) -> Support:
    """The gain per unit of 1/axis is smaller at the end than at the start."""
    terms = _walked(part, view, at)
    if len(terms) < 3:
        raise Gap(f"{len(terms)} values of {part.along}; a slope that changes needs three or more")
    xs = [1 / float(getattr(term.cell.point, part.along)) for term in terms]
    start, end = 1 / (xs[1] - xs[0]), 1 / (xs[-1] - xs[-2])
    slopes = [
        Term(start * terms[1].weight, terms[1].cell),
        Term(-start * terms[0].weight, terms[0].cell),
        Term(-end * terms[-1].weight, terms[-1].cell),
        Term(end * terms[-2].weight, terms[-2].cell),
    ]
    text = f"gain per 1/{part.along.replace('_', ' ')}, first step - last step"
    return exceeds(slopes, 0.0, view.spread, text)


def best(part: Best, view: View, at: Where) -> Support:
    """One of ``among`` is above (or below) all that is outside of it."""
    terms = sweep(view, part.of, part.metric, at, part.along, "up")
    if part.among in ("largest", "smallest"):
        inside = [terms[-1 if part.among == "largest" else 0]]
    else:
        inside = [t for t in terms if getattr(t.cell.point, part.along) in part.among]
    outside = [term for term in terms if term not in inside]
    if not inside or not outside:
        raise Gap(f"no {part.along} of {part.among}, or none beside it")
    high = part.which == "highest"
    return any_of(
        [
            all_of([over(a, b, 0.0, view) if high else over(b, a, 0.0, view) for b in outside])
            for a in inside
        ]
    )


def saturates(part: Saturates, view: View, at: Where) -> Support:
    """The metric correlates with R_s where that is not full, and is flat where it is."""
    terms = sweep(view, part.of, part.metric, at, part.along, "up")
    rs = [view.term(part.of, "rs", {**at, part.along: _at(t, part.along)}).cell for t in terms]
    growing = [(s, t.cell) for t, s in zip(terms, rs, strict=True) if s.mean < part.full]
    pairs = [pair for share, cell in growing for pair in _pairs(share, cell)]
    flat = [t for t, share in zip(terms, rs, strict=True) if share.mean >= part.full]
    if min(len(growing), len(flat)) < LEAST_POINTS:
        raise Gap(
            f"{len(growing)} points with R_s below {part.full:g} and {len(flat)} from it; "
            f"a rise and a plateau need {LEAST_POINTS} each"
        )
    try:
        grows = correlated(pairs, f"{part.metric} and R_s below {part.full:g}")
    except ValueError as error:
        raise Gap(str(error)) from error
    level = [
        about_equal([b, minus(a)], part.margin, view.spread, f"{b.said()} - {a.said()}")
        for a, b in pairwise(flat)
    ]
    return all_of([grows, *level])


def _at(term: Term, axis: str) -> Value:
    value: Value = getattr(term.cell.point, axis)
    return value


def _pairs(share: Cell, other: Cell) -> list[tuple[float, float]]:
    """(R_s, value) by seed."""
    theirs = dict(other.values)
    return [(x, theirs[seed]) for seed, x in share.values if seed in theirs]


def threshold(part: Threshold, view: View, at: Where) -> Support:
    """Some (interval, R_s) of the points: all that reach both match, and there are enough."""
    points = view.matching(side(part.left, part.metric, at))
    reached = []
    for cell in points:
        shares = [c for c in view.cells if c.metric == "rs" and c.point == cell.point]
        if not shares or cell.point.interval is None:
            raise Gap(f"no R_s or no interval of {cell.point.said()}")
        reached.append((cell.point.interval, shares[0].mean, cell))
    alternatives = []
    for least_interval in sorted({interval for interval, _, _ in reached}):
        for least_rs in sorted({rs for _, rs, _ in reached}):
            beyond = [c for i, rs, c in reached if i >= least_interval and rs >= least_rs]
            if len(beyond) >= part.least:
                alternatives.append(all_of([_matches(c, part, view, at) for c in beyond]))
    if not alternatives:
        raise Gap(f"{len(points)} points; a threshold needs {part.least} beyond it")
    return any_of(alternatives)


def _matches(cell: Cell, part: Threshold, view: View, at: Where) -> Support:
    return over(Term(1.0, cell), view.term(part.right, part.metric, at), -part.tolerance, view)


def explored_bound(density: float, alpha: float, interval: float, steps: float) -> float:
    """The most that R_s can be: every weight ever grown a new one (ITOP, section 3 and 4.3).

    ``alpha`` is the initial drop fraction, annealed by a cosine to 0; updates fall on every
    ``interval``-th of ``steps``.

    >>> explored_bound(0.05, 0.5, 15000, 14000)  # no update at all
    0.05
    """
    updates = range(1, int(steps // interval) + 1)
    grown = sum(cosine(i * interval, steps, alpha) for i in updates)
    return min(1.0, density * (1 + grown))


def bound(part: Bound, view: View, at: Where) -> Support:
    """R_s of every point is at most its bound."""
    found = []
    for cell in view.matching(side(part.of, "rs", at)):
        p = cell.point
        if p.sparsity is None or p.alpha is None or p.interval is None:
            raise Gap(f"sparsity, alpha or interval of {p.said()}")
        most = explored_bound(1 - p.sparsity, p.alpha, p.interval, p.steps or part.steps)
        terms = [_constant(most, cell), Term(-1.0, cell)]
        found.append(exceeds(terms, -1e-9, view.spread, f"bound {most:.4f} - {cell.said()}"))
    if not found:
        raise Gap("no R_s of a point with an interval")
    return all_of(found)


def agree(part: Agree, view: View, at: Where) -> Support:
    """Means within the sum of the standard deviations that are printed beside them."""
    left, right = (view.term(table, part.metric, at) for table in (part.left, part.right))
    stds = [view.term(table, f"{part.metric}_std", at) for table in (part.left, part.right)]
    margin = sum(term.cell.mean for term in stds)
    text = f"{left.said()} - {right.said()}"
    return about_equal([left, minus(right)], margin, view.spread, text)
