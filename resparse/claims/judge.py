"""A claim and the evidence for it -> its verdict at each level, and by the paper's own tables."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from resparse.claims import shapes, sweeps
from resparse.claims.claim import Claim
from resparse.claims.evidence import LEVELS, Evidence
from resparse.claims.part import Part
from resparse.claims.point import Where
from resparse.claims.support import Support, all_of, any_of
from resparse.claims.view import Gap, View, view_of
from resparse.errors import UsageError
from resparse.verdict import ALPHA

SMOKE = "smoke decides no claim: its networks, images and lengths are not the paper's"
OWN_TABLE = "CONTRADICTED BY THE PAPER'S OWN TABLE"


class ClaimVerdict(StrEnum):
    """What the records say of a claim."""

    CONFIRMED = "CONFIRMED"  # beyond chance
    CONSISTENT = "CONSISTENT"  # the means agree, not beyond chance
    UNRESOLVED = "UNRESOLVED"  # the means disagree, not beyond chance
    CONTRADICTED = "CONTRADICTED"  # the contrary, beyond chance
    NOT_RUN = "NOT RUN"


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A verdict, the level it is of, and what is behind it.

    ``test`` names the statistics, ``p_for`` and ``p_against`` are of the whole claim after Holm,
    ``cells`` and ``keys`` are what it was computed from, ``why`` is the comparison that decides or
    what is missing. ``alone`` is (model, verdict) of a claim over several models that are not all
    there: no verdict on the claim.
    """

    claim: str
    level: str
    verdict: ClaimVerdict
    why: str
    test: str = ""
    p_for: float | None = None
    p_against: float | None = None
    comparisons: int = 0
    cells: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    alone: tuple[tuple[str, str], ...] = ()


TESTS: dict[str, Callable[[Any, View, Where], Support]] = {
    **{
        name: getattr(shapes, name)
        for name in ("above", "below", "equal", "trend", "peak", "falls", "turns", "flattens")
    },
    **{name: getattr(shapes, name) for name in ("best", "saturates", "threshold", "bound")},
    "agree": shapes.agree,
    **{name: getattr(sweeps, name) for name in ("higher", "wider", "further", "loses", "sooner")},
}


def _sides(part: Part) -> list[dict[str, Any]]:
    names = ("left", "right", "of", "base")
    return [side for name in names if (side := getattr(part, name, None))]


def part_support(part: Part, view: View, at: Where) -> Support:
    """The part for each of its ``each`` values and some of its ``some``; raises Gap."""
    sides = _sides(part)

    def some(here: Where) -> Support:
        choices = view.assignments(part.some, sides, part.metric, here)
        return any_of([TESTS[part.test](part, view, choice) for choice in choices])

    return all_of([some(here) for here in view.assignments(part.each, sides, part.metric, at)])


def claim_support(claim: Claim, parts: Sequence[Part], view: View) -> Support:
    """The whole claim: its own quantifiers around all of its parts; raises Gap."""
    first, entry = parts[0], claim.entry
    sides = _sides(first)

    def some(here: Where) -> Support:
        choices = view.assignments(entry.some, sides, first.metric, here)
        return any_of([all_of([part_support(p, view, c) for p in parts]) for c in choices])

    return all_of([some(here) for here in view.assignments(entry.each, sides, first.metric, {})])


def verdict_of(support: Support) -> ClaimVerdict:
    """By the whole claim's p-values and, where neither is small, by the means."""
    if support.holds:
        sure = support.p_for < ALPHA
        return ClaimVerdict.CONFIRMED if sure else ClaimVerdict.CONSISTENT
    sure = support.p_against < ALPHA
    return ClaimVerdict.CONTRADICTED if sure else ClaimVerdict.UNRESOLVED


def judge(claim: Claim, evidence: Evidence, level: str) -> Judgement:
    """The claim's verdict by the evidence of one level; raises UsageError for no such level.

    Smoke decides nothing. A value that is not finite, a seed given twice, records of two protocols
    or half of a sweep are said, and the verdict is NOT RUN: nothing is averaged around them. A
    claim over several models of which some are missing is not run; what the others say is in words.
    """
    if level not in LEVELS:
        raise UsageError(f"level {level!r}; valid: {', '.join(LEVELS)}")
    found = evidence.of(level, claim.entry.artifacts, claim.metrics)
    cells = tuple(sorted({cell.said() for cell in found.cells}))
    keys = tuple(sorted({key for cell in found.cells for key in cell.keys}))
    not_run = Judgement(
        claim=claim.id, level=level, verdict=ClaimVerdict.NOT_RUN, why="", cells=cells, keys=keys
    )
    if not found.cells:
        return replace(not_run, why=f"no evidence from {' or '.join(claim.entry.artifacts)}")
    if problems := found.with_derived().problems():
        return replace(not_run, why=problems[0], problems=tuple(problems))
    if level == "smoke":
        return replace(not_run, why=SMOKE)
    parts = [p for p in claim.parts if level != "printed" or not p.records_only]
    try:
        view = view_of(found)
        if lacking := _lacking(claim, found, level):
            alone = _of_present(claim, parts, view)
            whys = [f"{model} alone: {said}" for model, _, said in alone]
            verdicts = tuple((model, str(verdict)) for model, verdict, _ in alone if verdict)
            return replace(not_run, why="; ".join([lacking, *whys]), alone=verdicts)
        support = claim_support(claim, parts, view)
    except (Gap, ValueError) as error:
        return replace(not_run, why=str(error))
    return replace(
        not_run,
        verdict=verdict_of(support),
        why=support.why,
        test=f"{view.spread.said()}; Holm over {support.count}",
        p_for=support.p_for,
        p_against=support.p_against,
        comparisons=support.count,
    )


def _lacking(claim: Claim, found: Evidence, level: str) -> str:
    """What the claim names and the evidence has not, or nothing."""
    asked: dict[str, Sequence[Any]] = {"model": claim.entry.models}
    if level in ("paper", "printed"):
        asked |= claim.entry.axes
    for axis, values in asked.items():
        there = {getattr(cell.point, axis) for cell in found.cells}
        if missing := [value for value in values if value not in there]:
            names = [value if isinstance(value, str) else f"{value:g}" for value in missing]
            return f"no {axis.replace('_', ' ')} {', '.join(names)}"
    return ""


def _of_present(
    claim: Claim, parts: Sequence[Part], view: View
) -> list[tuple[str, ClaimVerdict | None, str]]:
    """(model, verdict, why) of each that is there, by itself; no verdict where there is none."""
    found: list[tuple[str, ClaimVerdict | None, str]] = []
    for model in claim.entry.models:
        if any(cell.point.model == model for cell in view.cells):
            try:
                support = claim_support(claim, parts, view.only(model=model))
                verdict = verdict_of(support)
                found.append((model, verdict, f"{verdict}, {support.why}"))
            except Gap as error:
                found.append((model, None, str(error)))
    return found


def own_tables(claim: Claim, evidence: Evidence) -> str:
    """What the paper's own tables say of the claim: holds, CONTRADICTED..., or why neither."""
    if not claim.entry.printed:
        return "not printed"
    judgement = judge(claim, evidence, "printed")
    if judgement.verdict == ClaimVerdict.NOT_RUN:
        return f"not evaluated: {judgement.why}"
    holds = judgement.verdict == ClaimVerdict.CONFIRMED
    return f"{'holds' if holds else OWN_TABLE}: {judgement.why}"
