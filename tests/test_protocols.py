"""Protocols: what they may say, how they have values in common, how they are shown."""

import io
import json
import re
from collections import Counter

import pytest
from rich.console import Console

from resparse import artifact
from resparse.__main__ import main
from resparse.errors import UsageError
from resparse.protocols import check as protocol_check
from resparse.protocols import listing as protocol_listing
from resparse.protocols import protocol
from resparse.protocols.protocol import parse

ITOP = protocol.load("itop")
GOOD = """
[[base]]
name = "shared"

[base.run]
lr = { value = 0.1, status = "stated", where = "appendix A", why = "of two" }
nesterov = { value = true, status = "unknown", why = "nowhere" }

[[protocol]]
name = "one"
title = "Table 1"
artifacts = ["table1"]
like = ["shared"]

[protocol.run]
model = { value = "mlp", status = "stated", where = "appendix A" }

[protocol.code]
optimizer = { value = "SGD", status = "inferred", where = "appendix B", why = "of another network" }
"""


def said(found, key):
    """What a protocol says of a key: value and status, by rows."""
    return [(v.said.rows, v.said.value, v.said.status) for v in found.values if v.key == key]


def test_a_protocol_is_whole_and_every_value_has_its_file():
    (one,) = parse({"file": GOOD})
    assert [(v.table, v.key, v.file) for v in one.values] == [
        ("run", "lr", "file"),
        ("run", "nesterov", "file"),
        ("run", "model", "file"),
        ("code", "optimizer", "file"),
    ]
    assert said(one, "model") == [((), "mlp", "stated")]


def test_an_own_value_is_over_an_inherited_one_and_a_base_may_be_in_another_file():
    own = GOOD.replace(
        "[protocol.run]\n", '[protocol.run]\nlr = { value = 0.2, status = "unknown", why = "x" }\n'
    )
    cut = own.index("[[protocol]]")
    (one,) = parse({"a": own[cut:], "b": own[:cut]})
    assert said(one, "lr") == [((), 0.2, "unknown")]
    assert {v.key: v.file for v in one.values} == {
        "lr": "a", "nesterov": "b", "model": "a", "optimizer": "a",
    }  # fmt: skip


def test_what_is_taken_over_is_inferred_and_unknown_stays_unknown():
    (one,) = parse({"file": GOOD.replace("like =", 'taken_over = "elsewhere"\nlike =')})
    lr, nesterov, model, _ = (v.said for v in one.values)
    assert (lr.status, lr.why, lr.where) == ("inferred", "elsewhere; of two", "appendix A")
    assert (nesterov.status, nesterov.why) == ("unknown", "nowhere")
    assert model.status == "stated"  # its own


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('status = "unknown"', 'status = "guessed"', "run.nesterov: status = 'guessed'; valid: 's"),
        (', why = "nowhere"', "", "run.nesterov: status = 'unknown' without why; valid: the va"),
        (', why = "of another network"', "", "code.optimizer: status = 'inferred' without why"),
        (', where = "appendix A", why = "of two"', "", "run.lr: status = 'stated' without where"),
        (', where = "appendix B"', "", "code.optimizer: status = 'inferred' without where"),
        ("value = 0.1, ", "", "run.lr: value is missing; needed: value, status"),
        ("value = 0.1", "value = { a = 1 }", "valid: a number, a text, true, false or a list"),
        ("value = 0.1", "value = []", r"value = \[\]; valid: a number, a text"),
        ("value = 0.1", "values = 0.1", "unknown key 'values'; valid: value, status, where, why"),
        (
            '{ value = "mlp", status = "stated", where = "appendix A" }',
            '"mlp"',
            "run.model: 'mlp'; valid: a table",
        ),
        ('like = ["shared"]', 'like = ["other"]', "like has 'other'; valid: shared, one"),
        ('name = "shared"', 'name = "shared"\nlike = ["one"]', "shared -> one -> shared"),
        ('name = "shared"', 'name = "one"', "name one is given twice"),
        ("title =", "titel =", r"unknown key 'protocol\[0\].titel'"),
        ('artifacts = ["table1"]', "artifacts = []", "artifacts = .*; valid: at least 1 of them"),
        ("[[base]]", "[[bases]]", "unknown key 'bases'; valid: base, protocol"),
        ("[[base]]", "[[base]", "valid: TOML"),
        ('{ value = "mlp", status = "stated", where = "appendix A" }', "[]", r"run.model: \[\]; v"),
    ],
)
def test_a_bad_protocol_is_refused(old, new, words):
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    with pytest.raises(UsageError, match=words) as error:
        parse({"file": text})
    assert str(error.value).startswith("file")


def test_a_base_that_nothing_is_like_is_read_all_the_same():
    text = GOOD.replace('like = ["shared"]', "").replace("value = 0.1", "value = {}")
    with pytest.raises(UsageError, match=r"file, shared: run.lr: value = {}; valid: a number"):
        parse({"file": text})


def test_an_unknown_paper_and_a_missing_checkout_are_refused(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="no protocols of paper 'itopp'; valid: itop"):
        protocol.load("itopp")
    monkeypatch.setattr(protocol, "ROOT", tmp_path)
    with pytest.raises(protocol.Missing, match="protocols are read from a checkout"):
        protocol.load("itop")


def test_protocols_are_found_by_what_they_are_of():
    def names(name):
        return [p.entry.name for p in protocol_listing.named(ITOP, "itop", name)]

    assert len(names(None)) == len(ITOP)
    assert names("table2") == names("itop/table2") == ["table2_itop", "table2_cited"]
    assert names("panels/figure7_mlp") == names("figure7_mlp") == ["figure7_mlp"]
    assert names("figure3") == ["figure3_mlp", "figure3_vgg16", "figure3_resnet34"]
    assert names("figure10") == ["figure10"]
    with pytest.raises(UsageError, match="no protocol 'figure1' of paper 'itop'; valid: controls"):
        names("figure1")


def test_a_table_shows_unknowns_and_counts():
    (one,) = parse({"file": GOOD})
    text = io.StringIO()
    protocol_listing.to_terminal([one, one], Console(file=text, width=120))
    lines = [" ".join(re.sub("[│┃]", " ", line).split()) for line in text.getvalue().splitlines()]
    assert lines[0] == "one (table1): Table 1"
    for line in (
        "model mlp stated appendix A",
        "lr 0.1 stated appendix A of two",
        "nesterov true UNKNOWN nowhere",
        "optimizer* SGD inferred appendix B of another network",
        "2 stated, 1 inferred, 1 unknown",
        "together: 4 stated, 2 inferred, 2 unknown",
    ):
        assert line in lines
    assert lines.index("model mlp stated appendix A") < lines.index("nesterov true UNKNOWN nowhere")
    assert lines[-1].startswith("* no run carries it")


def test_the_command_prints_those_of_a_name(capsys, monkeypatch):
    names = ("table1", "table2")
    some = [p for p in ITOP if set(p.entry.artifacts) <= set(names)]
    monkeypatch.setattr(protocol_check, "load", lambda paper: some)
    monkeypatch.setattr(
        protocol_check, "tables", lambda paper: [artifact.load(f"itop/{n}") for n in names]
    )
    assert main(["protocols", "table2", "--json"]) == 0
    ours, cited = json.loads(capsys.readouterr().out)
    assert (ours["name"], ours["artifacts"], ours["rows"]) == (
        "table2_itop",
        ["table2"],
        ["RigL-ITOP*"],
    )
    batch = next(v for v in ours["values"] if v["key"] == "batch_size")
    assert (batch["value"], batch["status"], batch["checked"]) == (64, "stated", True)
    assert ours["counts"] == Counter(v["status"] for v in ours["values"])
    assert cited["values"][0] == {
        "key": "model", "checked": True, "file": "benchmarks/itop/protocols/tables.toml",
        "value": "resnet50", "status": "stated", "where": "Table 2", "why": "", "rows": [],
    }  # fmt: skip
    assert main(["protocols", "table1"]) == 0
    out = capsys.readouterr().out
    assert "weight_decay" in out
    assert "UNKNOWN" in out
    assert main(["protocols", "table9"]) == 5
    assert "no protocol 'table9'" in capsys.readouterr().err
