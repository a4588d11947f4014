"""Every claim of the ITOP paper: confirmed, contradicted and undecided by fabricated evidence."""

import math
from dataclasses import replace

import claims_figures
import claims_tables
import pytest

from resparse.claims.claim import load
from resparse.claims.evidence import Evidence
from resparse.claims.judge import SMOKE, ClaimVerdict, judge

CLAIMS = {claim.id: claim for claim in load("itop")}
STORIES = {**claims_figures.STORIES, **claims_tables.STORIES}
IDS = sorted(CLAIMS)


def level_of(claim):
    return claim.entry.decided_by.replace("records", "paper")


def used(claim, evidence):
    """The evidence that the claim reads."""
    return evidence.of(level_of(claim), claim.entry.artifacts, claim.metrics)


def changed(evidence, place=0, **what):
    """The evidence with one of its cells changed."""
    cells = list(evidence.cells)
    cells[place] = replace(cells[place], **what)
    return replace(evidence, cells=tuple(cells))


def test_every_claim_has_two_stories():
    assert len(CLAIMS) == 68
    assert STORIES.keys() == CLAIMS.keys()
    assert claims_figures.STORIES.keys().isdisjoint(claims_tables.STORIES)


@pytest.mark.parametrize("name", IDS)
def test_a_claim_is_confirmed_where_it_is_so(name):
    claim = CLAIMS[name]
    judgement = judge(claim, STORIES[name][0], level_of(claim))
    assert judgement.verdict == ClaimVerdict.CONFIRMED, judgement.why
    assert judgement.p_for < 0.05 < judgement.p_against
    assert judgement.cells
    assert judgement.keys
    assert judgement.test
    assert judgement.level == level_of(claim)


@pytest.mark.parametrize("name", IDS)
def test_a_claim_is_contradicted_where_the_contrary_is_so(name):
    claim = CLAIMS[name]
    judgement = judge(claim, STORIES[name][1], level_of(claim))
    assert judgement.verdict == ClaimVerdict.CONTRADICTED, judgement.why
    assert judgement.p_against < 0.05 < judgement.p_for


@pytest.mark.parametrize("name", IDS)
def test_no_evidence_is_not_run(name):
    claim = CLAIMS[name]
    judgement = judge(claim, Evidence(), "paper")
    assert judgement.verdict == ClaimVerdict.NOT_RUN
    assert judgement.why.startswith("no evidence from ")


@pytest.mark.parametrize("name", IDS)
def test_evidence_of_another_level_stays_out_of_the_papers_column(name):
    claim = CLAIMS[name]
    mini = [replace(cell, level="mini") for cell in STORIES[name][0].cells]
    assert judge(claim, Evidence(tuple(mini)), "paper").verdict == ClaimVerdict.NOT_RUN
    judgement = judge(claim, Evidence(tuple(mini)), "mini")
    assert judgement.level == "mini"
    assert judgement.verdict == ClaimVerdict.CONFIRMED


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("story", [0, 1])
def test_smoke_decides_nothing(name, story):
    smoke = [replace(cell, level="smoke") for cell in STORIES[name][story].cells]
    judgement = judge(CLAIMS[name], Evidence(tuple(smoke)), "smoke")
    assert judgement.verdict == ClaimVerdict.NOT_RUN
    assert judgement.why == SMOKE
    assert judgement.cells


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_not_finite_is_refused(name, value):
    claim = CLAIMS[name]
    found = used(claim, STORIES[name][0])
    first, *others = found.cells[0].values
    bad = changed(found, values=((first[0], value), *others))
    judgement = judge(claim, bad, level_of(claim))
    assert judgement.verdict == ClaimVerdict.NOT_RUN
    assert f"seed {first[0]} is {value}" in judgement.problems[0]


@pytest.mark.parametrize("name", IDS)
def test_a_seed_given_twice_is_refused(name):
    claim = CLAIMS[name]
    found = used(claim, STORIES[name][0])
    values = found.cells[0].values
    judgement = judge(claim, changed(found, values=(*values, values[0])), level_of(claim))
    assert judgement.verdict == ClaimVerdict.NOT_RUN
    assert "seed 0 is there 2 times" in judgement.problems[0]


@pytest.mark.parametrize("name", IDS)
def test_a_cell_given_twice_is_refused(name):
    claim = CLAIMS[name]
    found = used(claim, STORIES[name][0])
    judgement = judge(claim, replace(found, cells=(*found.cells, found.cells[0])), level_of(claim))
    assert judgement.verdict == ClaimVerdict.NOT_RUN
    assert any("is given 2 times" in problem for problem in judgement.problems)


@pytest.mark.parametrize("name", IDS)
def test_two_protocols_are_refused(name):
    claim = CLAIMS[name]
    found = used(claim, STORIES[name][0])
    points = [(cell.point.artifact, cell.point.model) for cell in found.cells]
    place = next((n for n, point in enumerate(points) if points.count(point) > 1), None)
    if place is None:  # one cell a model: nothing to mix
        assert name in ("itop-table3-deltaT", "itop-table4-resnet34-deltaT")
        return
    judgement = judge(claim, changed(found, place, protocol="other"), level_of(claim))
    assert judgement.verdict == ClaimVerdict.NOT_RUN
    assert any("records of 2 protocols" in problem for problem in judgement.problems)


@pytest.mark.parametrize("name", IDS)
def test_a_planned_point_without_a_run_is_half_a_sweep(name):
    claim = CLAIMS[name]
    found = used(claim, STORIES[name][0])
    planned = [(level_of(claim), cell.point) for cell in found.cells]
    whole = replace(found, planned=tuple(planned))
    assert judge(claim, whole, level_of(claim)).verdict == ClaimVerdict.CONFIRMED
    extra = replace(found.cells[0].point, method="planned too")
    half = replace(found, planned=(*planned, (level_of(claim), extra)))
    judgement = judge(claim, half, level_of(claim))
    assert judgement.verdict == ClaimVerdict.NOT_RUN
    assert "half a sweep: 1 planned points are not run: planned too" in judgement.problems[0]


@pytest.mark.parametrize("name", [name for name in IDS if CLAIMS[name].entry.models])
def test_a_claim_over_models_needs_them_all(name):
    claim = CLAIMS[name]
    for model in claim.entry.models:
        kept = [c for c in STORIES[name][0].cells if c.point.model != model]
        judgement = judge(claim, Evidence(tuple(kept)), "paper")
        assert judgement.verdict == ClaimVerdict.NOT_RUN
        if len(claim.entry.models) > 1:
            assert f"no model {model}" in judgement.why
            assert " alone: " in judgement.why
            present = [m for m in claim.entry.models if f"{m} alone: " in judgement.why]
            assert {m for m, _ in judgement.alone} <= set(present)
            for other, verdict in judgement.alone:
                assert f"{other} alone: {verdict}, " in judgement.why


@pytest.mark.parametrize("name", [name for name in IDS if CLAIMS[name].entry.axes])
def test_a_claim_over_an_axis_needs_its_values_at_the_papers_level(name):
    claim = CLAIMS[name]
    level = level_of(claim)
    for axis, values in claim.entry.axes.items():
        kept = [c for c in STORIES[name][0].cells if getattr(c.point, axis) != values[0]]
        judgement = judge(claim, Evidence(tuple(kept)), level)
        assert judgement.verdict == ClaimVerdict.NOT_RUN
        assert f"no {axis.replace('_', ' ')} {values[0]:g}" in judgement.why


@pytest.mark.parametrize("name", [n for n in IDS if CLAIMS[n].entry.decided_by == "records"])
def test_means_without_certainty_are_consistent_or_unresolved(name):
    """The same means with a spread that hides them: the sign alone is left."""
    claim = CLAIMS[name]
    for story, verdict in enumerate((ClaimVerdict.CONSISTENT, ClaimVerdict.UNRESOLVED)):
        wide = [replace(c, exact=False, values=_spread(c)) for c in STORIES[name][story].cells]
        judgement = judge(claim, Evidence(tuple(wide)), "paper")
        assert judgement.verdict == verdict, judgement.why


def _spread(cell):
    """Three seeds of the cell's mean, far apart: the mean itself keeps nine decimals."""
    width = 1e22 if cell.metric.endswith("total") else 1e5
    width = -width if cell.metric == "train_top1" else width  # else its seeds move as top1's do
    return ((0, cell.mean - width), (1, cell.mean), (2, cell.mean + width))
