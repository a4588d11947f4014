"""Comparisons of two sweeps over one axis: which peaks higher, later, swings or loses more."""

from itertools import pairwise

from resparse.claims.contrast import Term, exceeds
from resparse.claims.part import Further, Higher, Loses, Sooner, Two, Wider
from resparse.claims.point import Where
from resparse.claims.shapes import minus, over, sweep
from resparse.claims.support import Support, all_of, any_of, contrary
from resparse.claims.view import Gap, View


def _both(part: Two, view: View, at: Where, walk: str = "up") -> tuple[list[Term], list[Term]]:
    """Both sweeps; raises Gap where they stand at different values of the axis."""
    left, right = (
        sweep(view, table, part.metric, at, part.along, walk) for table in (part.left, part.right)
    )
    places = [[getattr(t.cell.point, part.along) for t in terms] for terms in (left, right)]
    if places[0] != places[1]:
        odd = sorted(set(places[0]) ^ set(places[1]))
        only = ", ".join(f"{value:g}" for value in odd)
        raise Gap(f"{part.along.replace('_', ' ')} {only} in one of two sweeps; valid: in both")
    return left, right


def higher(part: Higher, view: View, at: Where) -> Support:
    """max left > max right: some point of left is above every point of right."""
    left, right = _both(part, view, at)
    return any_of([all_of([over(a, b, 0.0, view) for b in right]) for a in left])


def wider(part: Wider, view: View, at: Where) -> Support:
    """max - min of left > that of right: some pair of left is further apart than every of right."""
    left, right = _both(part, view, at)
    return any_of(
        [
            all_of([_apart(a, b, c, d, view) for c in right for d in right if c is not d])
            for a in left
            for b in left
            if a is not b
        ]
    )


def _apart(a: Term, b: Term, c: Term, d: Term, view: View) -> Support:
    """a - b is more than c - d."""
    text = f"({a.cell.said()} - {b.cell.said()}) - ({c.cell.said()} - {d.cell.said()})"
    return exceeds([a, minus(b), minus(c), d], 0.0, view.spread, text)


def further(part: Further, view: View, at: Where) -> Support:
    """Some two places, left's beyond right's, each of which is the best of its own sweep."""
    left, right = _both(part, view, at)

    def tops(terms: list[Term], place: int) -> list[Support]:
        return [over(terms[place], t, 0.0, view) for i, t in enumerate(terms) if i != place]

    return any_of(
        [
            all_of([*tops(left, here), *tops(right, there)])
            for here in range(len(left))
            for there in range(here)
        ]
    )


def loses(part: Loses, view: View, at: Where) -> Support:
    """max - last of left > max - last of right: some point of left falls by more than any."""
    left, right = _both(part, view, at, part.walk)
    return any_of(
        [all_of([_apart(a, left[-1], c, right[-1], view) for c in right[:-1]]) for a in left[:-1]]
    )


def sooner(part: Sooner, view: View, at: Where) -> Support:
    """For neighbours of ``over``: there is a place where the smaller has come and before which the
    larger has not.
    """
    values = view.values(part.over, [part.of], part.metric, at)
    if len(values) < 2:
        raise Gap(f"{len(values)} values of {part.over}; a comparison needs two or more")
    sweeps = [
        sweep(view, part.of, part.metric, {**at, part.over: value}, part.along, part.walk)
        for value in values
    ]
    return all_of([_comes_first(a, b, part.step, view) for a, b in pairwise(sweeps)])


def _comes_first(fast: list[Term], slow: list[Term], step: float, view: View) -> Support:
    """The places of arrival compare: fast's first is at or before slow's first."""
    return any_of(
        [
            all_of(
                [
                    _arrived(fast, place, step, view),
                    *(contrary(_arrived(slow, before, step, view)) for before in range(place)),
                ]
            )
            for place in range(min(len(fast), len(slow)))
        ]
    )


def _arrived(terms: list[Term], place: int, step: float, view: View) -> Support:
    """No later point is above this one by more than ``step``."""
    return all_of([over(terms[place], later, -step, view) for later in terms[place + 1 :]])
