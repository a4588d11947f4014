"""The paper's own tables held against its claims, and the command that lists all of them."""

import json
from dataclasses import replace

import pytest

from resparse.__main__ import main
from resparse.claims import printed
from resparse.claims.claim import load
from resparse.claims.evidence import Evidence
from resparse.claims.judge import OWN_TABLE, own_tables
from resparse.claims.listing import lines, standings
from resparse.errors import UsageError
from resparse.published import Published

CLAIMS = {claim.id: claim for claim in load("itop")}
NOT_SO = {  # what the print contradicts
    "itop-table1-rs-exact",  # beside what we expect of the stated protocol
    "itop-table2-itop-beats-gmp",
    "itop-table2-gmp-flops-order",
    "itop-table4-resnet34-deltaT",
    "itop-table5-acc",
    "itop-table5-vs-table1",
}


@pytest.mark.parametrize("name", [n for n, claim in CLAIMS.items() if claim.entry.printed])
def test_the_papers_own_tables_decide(name):
    found = own_tables(CLAIMS[name], printed.printed_evidence("itop"))
    assert found.startswith(f"{OWN_TABLE}: " if name in NOT_SO else "holds: ")


def test_what_the_print_contradicts_is_shown_so():
    shown = {
        s.claim.id
        for s in standings(load("itop"), Evidence(), printed.printed_evidence("itop"))
        if s.shown == OWN_TABLE
    }
    assert shown == NOT_SO
    for name in NOT_SO:
        assert CLAIMS[name].entry.erratum


def test_the_comparison_that_fails_is_named():
    text = own_tables(CLAIMS["itop-table2-itop-beats-gmp"], printed.printed_evidence("itop"))
    assert "sparsity 0.9" in text
    assert "-0.08" in text


def test_a_claim_that_is_not_printed_says_so():
    assert own_tables(CLAIMS["itop-fig9-acc"], printed.printed_evidence("itop")) == "not printed"


def test_a_record_decides_before_the_print():
    """Where runs say something, the paper's column is theirs and the print stands beside it."""
    from claims_tables import STORIES

    claim = CLAIMS["itop-table5-acc"]
    (standing,) = standings([claim], STORIES[claim.id][0], printed.printed_evidence("itop"))
    assert standing.shown == "CONFIRMED"
    assert standing.own.startswith(OWN_TABLE)
    assert "    own tables: CONTRADICTED BY THE PAPER'S OWN TABLE: " in "\n".join(lines([standing]))


def test_mini_is_labelled_and_out_of_the_papers_column():
    from claims_figures import STORIES

    claim = CLAIMS["itop-fig9-acc"]
    mini = tuple(replace(cell, level="mini") for cell in STORIES[claim.id][0].cells)
    (standing,) = standings([claim], Evidence(mini), Evidence())
    assert standing.shown == "NOT RUN"
    assert "    mini, not the paper's column: CONFIRMED: " in "\n".join(lines([standing]))


def test_a_row_is_read_at_the_point_that_its_label_names():
    rows = printed.read_rows("itop")
    number = Published("0.113", None, "0.1390", "E-ITOP-09", "measured")
    cell, expected = printed.cells_of(
        {("P 0.9 interval 15000", 0.95, "rs"): number}, "table1", rows["table1"], "here"
    )
    p = cell.point
    assert (p.method, p.alpha, p.interval, p.sparsity) == ("SET", 0.9, 15000, 0.95)
    assert (cell.mean, cell.exact, cell.level) == (0.113, True, "printed")
    assert (expected.metric, expected.mean) == ("rs_expected", 0.139)
    (plus,) = printed.cells_of(
        {("SET+ interval 3000", 0.9, "top1"): Published("94.53", None, None, None, "measured")},
        "table5",
        rows["table5"],
        "here",
    )
    assert (plus.point.method, plus.point.interval, plus.point.alpha) == ("SET+", 3000, 0.5)


def test_a_row_of_another_name_is_refused():
    number = Published("1", None, None, None, "measured")
    rows = printed.read_rows("itop")["table1"]
    with pytest.raises(UsageError, match="here: row 'third row'; valid: "):
        printed.cells_of({("third row", 0.95, "rs"): number}, "table1", rows, "here")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("table,model\n", "columns table,model; valid: table,model,method"),
        ("table,model,method,interval,source\ntable3,mlp,SET,0,x\n", ":2: table3,mlp,SET,0,x"),
        ("table,model,method,interval,source\ntable3,mlp,SET\n", ":2: table3,mlp,SET; valid"),
    ],
)
def test_bad_intervals_are_refused(text, words):
    with pytest.raises(UsageError, match=words):
        printed.intervals_of(text, "file")


def test_the_command_lists_every_claim(capsys):
    assert main(["claims"]) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[-1].startswith("68 claims: ")
    assert all(f"  {name}\n" in text for name in CLAIMS)
    assert f"{OWN_TABLE}  itop-table2-gmp-flops-order\n" in text


def test_the_command_prints_json(capsys):
    assert main(["claims", "--paper", "itop", "--json"]) == 0
    found = {claim["id"]: claim for claim in json.loads(capsys.readouterr().out)}
    assert len(found) == 68
    gmp = found["itop-table2-gmp-flops-order"]
    assert gmp["verdict"] == OWN_TABLE
    assert gmp["paper"]["verdict"] == "NOT RUN"
    assert found["itop-table3-deltaT"]["verdict"] == "CONFIRMED"
    assert found["itop-table3-deltaT"]["paper"]["level"] == "printed"


def test_an_unknown_paper_is_refused(capsys):
    assert main(["claims", "--paper", "itip"]) == 5
    assert "no claims of paper 'itip'; valid: itop" in capsys.readouterr().err
