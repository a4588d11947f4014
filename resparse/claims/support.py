"""How far numbers bear a statement out, and how statements join: all of them, any of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Support:
    """``holds`` by the means alone; ``p_for`` tests against its contrary, ``p_against`` against it.

    A small ``p_for`` says that the statement is true beyond chance, a small ``p_against`` that its
    contrary is; both 0 or 1 where numbers have no spread. ``why`` is the comparison that decides,
    ``count`` how many there were.
    """

    holds: bool
    p_for: float
    p_against: float
    why: str
    count: int = 1


_OF = "; "  # between a comparison and what it is among
NOTHING = Support(holds=True, p_for=0.0, p_against=1.0, why="nothing else is asked", count=0)


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given.

    >>> holm([0.01, 0.04])
    [0.02, 0.04]
    """
    # statsmodels' own collects garbage on every call: a quarter of a second, thousands of times
    adjusted, largest = [0.0] * len(ps), 0.0
    for done, place in enumerate(sorted(range(len(ps)), key=lambda place: ps[place])):
        largest = max(largest, min(1.0, (len(ps) - done) * ps[place]))
        adjusted[place] = largest
    return adjusted


def all_of(parts: Sequence[Support]) -> Support:
    """A conjunction: as strong as its weakest part after Holm; one refuted part refutes it.

    >>> parts = [Support(holds=True, p_for=p, p_against=1 - p, why=str(p)) for p in (0.01, 0.02)]
    >>> all_of(parts).p_for, all_of(parts).why
    (0.02, '0.02; the weakest of 2')
    """
    parts = [part for part in parts if part.count] or [NOTHING]
    if len(parts) == 1:
        return parts[0]
    weakest = max(parts, key=lambda part: (not part.holds, part.p_for))
    return _joined(
        weakest,
        parts,
        "weakest",
        holds=all(part.holds for part in parts),
        p_for=max(holm([part.p_for for part in parts])),
        p_against=min(holm([part.p_against for part in parts])),
    )


def any_of(parts: Sequence[Support]) -> Support:
    """A disjunction: one part beyond chance after Holm is enough; to refute it all must be.

    >>> parts = [Support(holds=True, p_for=p, p_against=1 - p, why=str(p)) for p in (0.01, 0.5)]
    >>> any_of(parts).p_for, any_of(parts).why
    (0.02, '0.01; the strongest of 2')

    Raises ValueError for none: nothing can be chosen from nothing.
    """
    if not parts:
        raise ValueError("no alternative at all; valid: one or more")
    if len(parts) == 1:
        return parts[0]
    strongest = min(parts, key=lambda part: (not part.holds, part.p_for))
    return _joined(
        strongest,
        parts,
        "strongest",
        holds=any(part.holds for part in parts),
        p_for=min(holm([part.p_for for part in parts])),
        p_against=max(holm([part.p_against for part in parts])),
    )


def contrary(part: Support) -> Support:
    """The statement's negation."""
    return replace(
        part,
        holds=not part.holds,
        p_for=part.p_against,
        p_against=part.p_for,
        why=f"not so: {part.why}",
    )


def _joined(
    shown: Support,
    parts: Sequence[Support],
    which: str,
    *,
    holds: bool,
    p_for: float,
    p_against: float,
) -> Support:
    count = sum(part.count for part in parts)
    alike = all((part.holds, part.p_for) == (shown.holds, shown.p_for) for part in parts)
    why = f"{shown.why.split(_OF)[0]}{_OF}{'one' if alike else f'the {which}'} of {count}"
    return Support(holds=holds, p_for=p_for, p_against=p_against, why=why, count=count)
