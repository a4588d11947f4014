"""Bad claims: one sentence naming file, value and what is valid. And how sides find cells."""

from dataclasses import replace

import pytest
from claims_worlds import cells, evidence, points

from resparse.claims import claim as claims
from resparse.claims.claim import load, parse
from resparse.claims.evidence import Evidence
from resparse.claims.judge import judge
from resparse.claims.view import Gap, view_of
from resparse.errors import UsageError

PART = '{ test = "above", left = { method = "SET" }, right = { method = "Static" } }'
GOOD = f"""
[[claim]]
id = "one"
where = "Figure 3"
kind = "ordering"
statement = "SET is better."
artifacts = ["figure3"]
part = [{PART}]
"""


def only(part, **more):
    """The claim GOOD with another part and more keys."""
    extra = "".join(f"{key} = {value}\n" for key, value in more.items())
    (claim,) = parse(f"{GOOD.replace(PART, part)}{extra}", "file")
    return claim


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('kind = "ordering"', 'kind = "order"', "kind = 'order'; valid: 'ordering', 'magnitude'"),
        ('id = "one"', 'id = "One two"', "id = 'One two'; valid: words joined by hyphens"),
        ("artifacts", "artefacts", "unknown key 'artefacts'"),
        ("[[claim]]", "[[claims]]", "valid: \\[\\[claim\\]\\] alone"),
        ("[[claim]]", "[[claim]", "valid: TOML"),
        ('test = "above"', 'test = "over"', "part 1: test = 'over'; valid: above, below"),
        ('left = { method = "SET" }, ', "", "left is missing"),
        ('method = "SET"', 'methods = "SET"', "not methods"),
        ('method = "SET"', "method = 3", "method a text or several; 3"),
        ('method = "SET"', 'sparsity = "0.9"', "sparsity a number or several; '0.9'"),
        ('method = "SET"', "sparsity = { from = 0.9 }", "a range of at_least, at_most"),
        ('method = "SET"', 'metric = "top5"', "one of top1"),
        ('test = "above"', 'test = "above", metric = "top5"', "metric = 'top5'"),
        ('test = "above"', 'test = "above", each = ["size"]', "one of artifact, method"),
        ('test = "above"', 'test = "above", margin = 0.5', "margin without margin_reason"),
        ('test = "above"', 'test = "above", value = 1.0', "right and value = 1; valid: one of"),
        ("artifacts", 'erratum = "E8"\nartifacts', "an id like E-ITOP-08"),
    ],
)
def test_a_bad_claim_is_refused(old, new, words):
    assert old in GOOD
    with pytest.raises(UsageError, match=words) as error:
        parse(GOOD.replace(old, new, 1), "file")
    assert str(error.value).startswith("file")


def test_an_id_given_twice_is_refused(tmp_path, monkeypatch):
    folder = tmp_path / "benchmarks" / "itop" / "claims"
    folder.mkdir(parents=True)
    (folder / "a.toml").write_text(GOOD)
    (folder / "b.toml").write_text(GOOD)
    monkeypatch.setattr("resparse.claims.claim.ROOT", tmp_path)
    with pytest.raises(UsageError, match="claim one is given twice"):
        load("itop")


def test_every_claim_is_short_and_says_what_is_unknown():
    claims = load("itop")
    for claim in claims:
        assert len(claim.entry.statement.split()) <= 30, claim.id
        assert claim.entry.statement.endswith("."), claim.id
    assert sum(bool(claim.entry.needs) for claim in claims) > 30
    assert {claim.entry.erratum for claim in claims} >= {f"E-ITOP-0{n}" for n in (1, 2, 6, 8, 9)}


def world(**axes):
    run = points("figure3", ["SET", "Static"], **axes)
    return evidence(cells(run, "top1", lambda p: 61.0 if p.method == "SET" else 60.0))


def test_a_side_of_two_points_is_refused():
    judgement = judge(only(PART), world(sparsity=(0.9, 0.95)), "paper")
    assert judgement.verdict == "NOT RUN"
    assert "is of 2 points" in judgement.why


def test_a_missing_side_is_said():
    found = world(sparsity=(0.9, 0.95))
    kept = [c for c in found.cells if (c.point.method, c.point.sparsity) != ("Static", 0.95)]
    each = PART.replace("{ test", '{ each = ["sparsity"], test', 1)
    assert judge(only(each), found, "paper").verdict == "CONFIRMED"
    judgement = judge(only(each), Evidence(tuple(kept)), "paper")
    assert judgement.verdict == "NOT RUN"
    assert judgement.why == "no top1 of sparsity 0.95, Static"


def test_an_axis_that_no_point_has_is_said():
    each = PART.replace("{ test", '{ each = ["alpha"], test', 1)
    assert "with a alpha" in judge(only(each), world(sparsity=0.9), "paper").why


def test_ends_are_of_the_values_that_were_run():
    view = view_of(world(length=(1, 2, 8)))
    assert view.term({"method": "SET", "length": "largest"}, "top1", {}).cell.point.length == 8
    assert view.term({"method": "SET", "length": "smallest"}, "top1", {}).cell.point.length == 1


def test_a_list_is_narrowed_by_the_value_at_hand_and_a_single_value_is_not():
    view = view_of(world(sparsity=0.9))
    both = {"method": ["SET", "Static"]}
    assert view.term(both, "top1", {"method": "SET"}).cell.point.method == "SET"
    assert view.term({"method": "SET"}, "top1", {"method": "Static"}).cell.point.method == "SET"
    with pytest.raises(Gap, match="is of 2 points"):
        view.term(both, "top1", {})


def test_one_seed_is_not_run():
    one = [replace(c, values=c.values[:1]) for c in world(sparsity=0.9).cells]
    judgement = judge(only(PART), Evidence(tuple(one)), "paper")
    assert judgement.verdict == "NOT RUN"
    assert "no cell has two seeds" in judgement.why


def test_an_unknown_level_is_refused():
    with pytest.raises(UsageError, match="level 'full'; valid: smoke, mini, paper, printed"):
        judge(only(PART), Evidence(), "full")


def test_sweeps_of_two_lengths_are_not_compared():
    part = '{ test = "higher", left = { method = "SET" }, right = { method = "Static" }, along = "interval" }'  # noqa: E501
    found = world(interval=(10, 100, 1000))
    assert judge(only(part), found, "paper").verdict == "CONFIRMED"
    kept = [c for c in found.cells if (c.point.method, c.point.interval) != ("Static", 100)]
    judgement = judge(only(part), Evidence(tuple(kept)), "paper")
    assert judgement.why == "interval 100 in one of two sweeps; valid: in both"


def judged(part, means, rs=None):
    """The verdict on a sweep over lengths 1, 2, 4, 8 with these means, against Dense at 60."""
    run = points("figure3", "SET", length=(1, 2, 4, 8), interval=1500)
    dense = points("figure3", "Dense")
    place = {1: 0, 2: 1, 4: 2, 8: 3}
    found = evidence(
        cells(run, "top1", lambda p: means[place[p.length]]),
        cells(run, "rs", lambda p: (rs or (0.5, 0.8, 0.995, 0.999))[place[p.length]]),
        cells(dense, "top1", 60.0),
    )
    reason = {"margin_reason": '"half a point is chance"'}
    return judge(only(part, **reason), found, "paper")


TREND = '{ test = "trend", of = { method = "SET" }, along = "length", walk = "up", goes = "up", step = 0.5 }'  # noqa: E501
FLAT = (
    '{ test = "saturates", of = { method = "SET" }, along = "length", full = 0.99, margin = 0.5 }'
)
FROM = '{ test = "threshold", left = { method = "SET" }, right = { method = "Dense" }, tolerance = 0.5, least = 2 }'  # noqa: E501


@pytest.mark.parametrize(
    ("part", "means", "verdict"),
    [
        (TREND, (60, 61, 61, 62), "CONFIRMED"),
        (TREND, (60, 64, 61, 62), "CONTRADICTED"),  # the ends rise, the middle falls
        (FLAT, (60, 61, 62, 62), "CONFIRMED"),
        (FLAT, (60, 61, 62, 65), "CONTRADICTED"),  # it goes on rising at full R_s
        (FROM, (50, 50, 60, 60), "CONFIRMED"),
        (FROM, (50, 50, 50, 60), "CONTRADICTED"),  # one lucky point is no threshold
    ],
)
def test_a_sweep_is_judged_by_all_of_its_points(part, means, verdict):
    judgement = judged(part, means)
    assert judgement.verdict == verdict, judgement.why


def test_a_plateau_needs_two_points():
    judgement = judged(FLAT, (60, 61, 62, 63), rs=(0.5, 0.6, 0.7, 0.995))
    assert judgement.verdict == "NOT RUN"
    assert "3 points with R_s below 0.99 and 1 from it" in judgement.why


def test_an_erratum_that_the_papers_numbers_do_not_name_is_refused():
    known = load("itop")
    assert any(claim.entry.erratum for claim in known)
    wrong = known[0].entry.model_copy(update={"erratum": "E-ITOP-99"})
    with pytest.raises(UsageError, match=r"E-ITOP-99'; valid: those of baselines/.*E-ITOP-01"):
        claims._require_errata(
            [replace(known[0], entry=wrong)], "baselines/published/itop/SOURCE.toml"
        )
