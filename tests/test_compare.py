"""`resparse compare` as a user meets it: a file of one's own, its page, and what goes wrong."""

import csv
import json
import re

import pytest
from comparing import MINE, brief, checked_elsewhere, pages, small

from resparse.__main__ import main
from resparse.asked import Request
from resparse.compare.command import page_name, tried
from resparse.contract_process import check_apart
from resparse.errors import ContractBroken, UsageError
from resparse.record import RunStore
from resparse.settings import settings


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """The command run three times: as it is, again, and with another field."""
    folder = small(tmp_path_factory.mktemp("checkout"))
    mine = tmp_path_factory.mktemp("elsewhere") / "mine.py"
    mine.write_text(MINE)
    with pytest.MonkeyPatch.context() as patch:
        brief(folder, patch)
        codes, records, texts = [], [], None
        for extra in ([], [], ["--set", "alpha=0.5"]):
            codes.append(main(["compare", str(mine), *extra]))
            records.append(len(list((folder / "runs").glob("*/record.json"))))
            texts = checked_elsewhere(patch) if texts is None else texts
    assert texts == [(), ("alpha=0.5",)]  # the first was checked here
    page, again = pages(folder, "mine"), pages(folder, "mine-alpha=0.5")
    return folder, codes, records, page, again


def test_one_command_trains_the_new_runs_and_a_second_none(compared):
    _, codes, records, _, _ = compared
    assert codes == [0, 0, 0]
    # 2 seeds: ours; static and dense at three lengths each, nothing frozen in this checkout
    assert records == [2 + 6 + 6, 14, 16]


def test_the_page_says_what_it_is_and_is_not(compared):
    _, _, _, page, _ = compared
    assert set(page) == {".md", ".csv", "-methods.csv", ".html", ".svg"}
    lines = page[".md"].splitlines()
    assert lines[0] == "# mine on the panel, smoke"
    assert lines[2].startswith("> **Smoke, not evidence")
    assert "Smoke, not evidence" in page[".html"].split("<table>")[0]
    said = ("At equal steps", "checks passed", "interval = 10", "one configuration was tried")
    for words in said:
        assert words in page[".md"], words
    assert re.search(r"file's sha256 [0-9a-f]{64}", page[".md"])
    assert "![Test top-1 against training FLOPs" in page[".md"]
    assert page[".svg"][page[".svg"].index("<svg") :] in page[".html"]


def test_the_csv_holds_every_comparison(compared):
    rows = list(csv.DictReader(compared[3][".csv"].splitlines()))
    # static and dense; all settings and the one setting; at equal steps and at equal FLOPs
    assert len(rows) == 2 * 2 * 2
    for row in rows:
        if row["difference_pp"]:
            low, high = float(row["ci95_low"]), float(row["ci95_high"])
            assert low <= float(row["difference_pp"]) <= high
            assert row["standing"] in ("BETTER", "WORSE", "EQUIVALENT", "INCONCLUSIVE")
        else:
            assert "times as much" in row["note"] or "of it" in row["note"]


def test_the_other_csv_holds_what_each_reached_and_by_which_runs(compared):
    folder, _, _, page, _ = compared
    rows = list(csv.DictReader(page["-methods.csv"].splitlines()))
    # ours at its length; static and dense at three each
    assert [(r["label"], float(r["length"])) for r in rows] == [
        ("mine", 1.0), ("Dense", 0.0625), ("Dense", 0.1), ("Dense", 1.0),
        ("Static", 0.05), ("Static", 0.1), ("Static", 1.0),
    ]  # fmt: skip
    store = RunStore(folder / "runs")
    for row in rows:
        found = [store.at(key).record() for key in row["keys"].split()]
        assert len(found) == int(row["seeds"]) == 2
        tops = [r.outcome["top1_last"] for r in found]
        assert float(row["top1"]) == pytest.approx(sum(tops) / 2)
        least, most = float(row["ms_a_step_least"]), float(row["ms_a_step_most"])
        assert 0 < least <= float(row["ms_a_step"]) <= most
        assert 0 < float(row["rs_trained"]) <= float(row["rs"]) <= 1


def test_a_second_configuration_is_a_second_try_and_has_a_page_of_its_own(compared):
    again = compared[4]
    assert "2 configurations were tried, so every p is multiplied by 2" in again[".md"]
    assert "alpha = 0.5" in again[".md"]


def test_the_differences_are_those_of_the_records(compared):
    folder, _, _, page, _ = compared
    store = RunStore(folder / "runs")
    found = [store.at(p.parent.name).record() for p in (folder / "runs").glob("*/record.json")]

    def mean(method, steps, **fields):
        values = [
            r.outcome["top1_last"]
            for r in found
            if r.run.method == method and r.run.recipe.steps == steps
            if all(r.run.fields[k] == v for k, v in fields.items())
        ]
        assert len(values) == 2
        return sum(values) / 2

    row = next(r for r in csv.DictReader(page[".csv"].splitlines()) if r["baseline"] == "Static")
    expected = mean("mine", 70, alpha=0.3) - mean("static", 70)
    assert float(row["difference_pp"]) == pytest.approx(expected)
    assert all(r.run.method_sha256 == "" for r in found if r.run.method == "static")


def test_tries_count_files_fields_and_distributions_not_seeds(compared):
    folder, _, _, _, _ = compared
    from resparse.compare import (
        panel,  # the small one is not in use here: only names and runs matter
    )

    store = RunStore(folder / "runs")
    run = next(
        r.run
        for r in (store.at(p.parent.name).record() for p in (folder / "runs").glob("*/COMMITTED"))
        if r.run.method == "mine"
    )
    entry = panel.Entry(label="mine", workload="digits_mlp", sparsity=0.9, length=1, run=run)
    assert tried(store, [entry]) == 2


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("self.alpha, ties", "2.0, ties", ["method mine", "step", "layer fc", "cannot choose"]),
        ("x.grad.abs()", "x.gradient.abs()", ["gradient", "mine.py:22", "layer fc1"]),
        ("        return {\n", "        layers['fc1'].weight.zero_()\n        return {\n",
         ["method mine", "step", "fc1", "weight"]),
        ("for name, x in layers.items()\n", "for name, x in [('fc9', layers['fc1'])]\n",
         ["method mine", "fc9"]),
        ("is_due(step, self.interval)", "is_due(step, self.interval) and 1 / 0",
         ["method mine", "ZeroDivisionError"]),
        ("(ours, 2026)", "(ours)", ["method mine", "source"]),
        ("class Mine(Method)", "class Mine", ["mine", "0 Method classes"]),
        ("return is_due", "return is_duo", ["method mine", "is_duo"]),
        ("@dataclass", "@@dataclass", ["mine.py, line", "SyntaxError"]),
    ],
)  # fmt: skip
def test_a_faulty_method_is_refused_in_one_sentence_before_anything_trains(
    old, new, words, tmp_path, capsys
):
    assert MINE.count(old) >= 1
    file = tmp_path / "mine.py"
    file.write_text(MINE.replace(old, new))
    arguments = ["compare", str(file), "--runs", str(tmp_path / "runs"), "--out", str(tmp_path)]
    assert main(arguments) == 5
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1, captured.err
    for word in words:
        assert word in captured.err, captured.err
    assert not list((tmp_path / "runs").glob("*/manifest.json"))


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("        return {\n", "        for name in layers:\n            while True: pass\n"
         "        return {\n", "step 3, layer fc1"),
        ("@dataclass(kw_only=True)\n", "while True:\n    pass\n", "while its file was read"),
    ],
)  # fmt: skip
def test_a_method_that_never_returns_is_stopped_and_placed(old, new, where, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(MINE.replace(old, new))
    with pytest.raises(ContractBroken, match=f"did not return within 4 s.*{where}"):
        check_apart(str(file), tmp_path / "runs", limit_s=4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere/mine.py"], ["nowhere/mine.py", "one Python file"]),
        (["stattic"], ["stattic", "static"]),
        (["set", "--level", "huge"], ["huge", "smoke, mini, conv, paper"]),
        (["set", "--workload", "digitz"], ["digitz", "digits_mlp"]),
        (["ltr"], ["method ltr", "parent that prunes"]),
        (["dense"], ["baseline of every page"]),
        (["set", "--distribution", "erc"], ["'erc'", "erk"]),
        (["set", "--distribution", "dense"], ["baseline of every page"]),
    ],
)
def test_bad_arguments(arguments, words, tmp_path, capsys):
    assert main(["compare", *arguments, "--runs", str(tmp_path / "runs")]) == 5
    assert not list(tmp_path.glob("runs/*/manifest.json"))
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    for word in words:
        assert word in error


def test_a_name_that_a_baseline_has_on_the_page_is_refused(tmp_path, capsys, monkeypatch):
    checked_elsewhere(monkeypatch)
    file = tmp_path / "RigL.py"
    file.write_text(MINE)
    assert main(["compare", str(file), "--runs", str(tmp_path / "runs")]) == 5
    assert "method RigL: a baseline of the page has this name" in capsys.readouterr().err


def test_a_page_is_named_by_all_that_differs_from_the_panel():
    asked = Request(
        reference="x/mine.py",
        level="mini",
        workloads=("digits_mlp", "y/wide.py"),
        distribution="er",
        settings=("alpha=0.5", "interval=5"),
    )
    assert page_name(asked, "mine") == "mine-mini-digits_mlp-wide-er-alpha=0.5-interval=5"
    assert page_name(Request(reference="mine.py"), "mine") == "mine"


def test_fields_are_read_by_their_type():
    assert settings("set", ["interval=5", "alpha=0.25", "regrow_dropped=false"]) == {
        "interval": 5, "alpha": 0.25, "regrow_dropped": False,
    }  # fmt: skip
    for text in ("interval=5.5", "alfa=1", "regrow_dropped=no", "interval"):
        with pytest.raises(UsageError, match=re.escape(text)):
            settings("set", [text])


def test_json_holds_the_whole_comparison(compared, monkeypatch, capsys):
    folder = compared[0]
    with pytest.MonkeyPatch.context() as patch:
        brief(folder, patch)
        checked_elsewhere(patch)
        copy = next((folder / "runs" / "methods").glob("mine-*.py"))
        mine = folder / "mine.py"
        mine.write_text(copy.read_text())
        assert main(["compare", str(mine), "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert {"overall", "each", "summaries", "answer", "tries"} <= set(value)
