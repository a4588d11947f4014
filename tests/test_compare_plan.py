"""What `compare` says before it trains, what --plan costs, and the page of some of the seeds."""

import csv
import re

import pytest
import torch
from comparing import MINE, PANEL, brief, checked_elsewhere, pages, small
from test_baseline import freeze

from resparse import plan, provenance
from resparse.__main__ import main
from resparse.asked import Request
from resparse.compare import panel
from resparse.compare import plan as compare_plan
from resparse.compare.command import page_name
from resparse.record import RunStore
from resparse.runner import with_parents
from resparse.workloads import workload


@pytest.fixture
def checkout(tmp_path):
    """A small panel of three seeds; nothing is trained."""
    folder = small(tmp_path / "checkout")
    file = folder / PANEL
    file.write_text(file.read_text().replace("seeds = [0, 1]", "seeds = [0, 1, 2]"))
    (folder / "mine.py").write_text(MINE)
    return folder


def run(folder, *arguments, runs="runs"):
    """The command in a changed tree; the method's contract is checked by other tests."""
    with pytest.MonkeyPatch.context() as patch:
        brief(folder, patch)
        checked_elsewhere(patch)
        patch.setattr(provenance, "git", lambda *asked: "0123456789abcdef")  # and all is changed
        where = ["--runs", str(folder / runs)]
        return main(["compare", str(folder / "mine.py"), *where, *arguments])


def trained(folder, runs="runs"):
    found = [RunStore(folder / runs).at(p.parent.name) for p in (folder / runs).glob("*/COMMITTED")]
    return sorted((r.run.method, r.run.seed) for r in (folder.record() for folder in found))


def test_a_plan_says_what_and_why_and_costs_it_and_trains_nothing(checkout, capsys):
    assert run(checkout, "--plan") == 0
    first, line, load, together = capsys.readouterr().out.splitlines()
    assert first == "checking the contract of mine"
    # three seeds of ours, static and dense at three lengths each
    assert line == "21 runs: 3 of mine; 18 of the baselines on digits_mlp: it has no stored ones"
    # 50,432 weights of linear layers, a multiply and an add each, thrice; 64 images; steps: ours
    # 70, dense 4, 7 and 70, static 4, 7 and 70
    flops = f"{3 * 2 * 50432 * 64 * 3 * (70 + 4 + 7 + 70 + 4 + 7 + 70):.3g} FLOPs"
    assert load.startswith(f"digits_mlp: 21 to train, {flops}, ")
    assert re.search(r"hours; measured on .*, batch 64$", load)
    assert together.startswith(f"together 21 to train, {flops} ")
    assert not list((checkout / "runs").glob("*/manifest.json"))
    assert not (checkout / "reports/compare").exists()


def test_some_seeds_have_a_page_of_their_own_that_says_so(checkout, capsys):
    assert run(checkout, "--seeds", "2,0") == 0
    said = capsys.readouterr().out
    assert "14 runs: 2 of mine; 12 of the baselines on digits_mlp: it has no stored ones" in said
    assert said.index("14 runs: 2 of") < said.index("[1/14] done:")
    assert "2 of the panel's 3 seeds (0, 2)." in said
    assert {seed for _, seed in trained(checkout)} == {0, 2}
    folder = checkout / "reports/compare"
    assert not (folder / "mine.md").exists()
    page = (folder / "mine-seeds=0,2.md").read_text()
    assert "> **2 of the panel's 3 seeds (0, 2): not the panel's comparison.**" in page
    assert page.index("2 of the panel's 3") < page.index("At equal steps")
    assert "nox -s compare -- mine.py --seeds 0,2" in page

    assert run(checkout, "--seeds", "0,1", "--seeds", "2") == 0  # all: the page as it is
    assert len(list(folder.glob("*seeds*.md"))) == 1
    whole = pages(checkout, "mine")[".md"]
    assert "of the panel's" not in whole
    assert "--seeds" not in whole
    assert (folder / "mine-seeds=0,2.md").read_text() == page

    capsys.readouterr()
    assert run(checkout, "--plan") == 0  # what is trained is counted, not planned again
    said = capsys.readouterr().out
    assert "21 runs: 3 of mine; 18 of the baselines" in said
    assert "together 0 to train, 0 FLOPs" in said


@pytest.mark.fault
@pytest.mark.long
def test_some_seeds_are_paired_with_stored_records_of_the_same(checkout, capsys):
    assert run(checkout) == 0
    assert "made by | 0123456789ab + uncommitted changes, torch" in pages(checkout, "mine")[".md"]
    freeze(checkout, lambda line: line | {"fingerprint": "other"})
    assert run(checkout, "--plan", "--seeds", "1,2", runs="new") == 0
    line = "\n4 runs: 2 of mine; 2 of the baselines again, for their stored records were made by "
    assert line + "other code\n" in capsys.readouterr().out
    assert run(checkout, "--seeds", "1,2", runs="new") == 0
    assert trained(checkout, "new") == [("dense", 1), ("mine", 1), ("mine", 2), ("static", 1)]

    folder = checkout / "reports/compare"
    rows = list(csv.DictReader((folder / "mine-seeds=1,2.csv").open()))
    store = RunStore(checkout / "runs")
    found = [store.at(p.parent.name).record() for p in (checkout / "runs").glob("*/COMMITTED")]
    tops = {
        (r.run.method, r.run.seed): r.outcome["top1_last"]
        for r in found
        if r.run.recipe.steps == 70
    }
    gaps = [tops["mine", seed] - tops["static", seed] for seed in (1, 2)]
    row = next(r for r in rows if (r["baseline"], r["at_equal"]) == ("Static", "steps"))
    assert float(row["difference_pp"]) == pytest.approx(sum(gaps) / 2)
    methods = list(csv.DictReader((folder / "mine-seeds=1,2-methods.csv").open()))
    assert {row["seeds"] for row in methods} == {"2"}


def test_parents_are_counted_once_and_apart():
    found = panel.load()
    level, problems = found.level("smoke"), panel.problems(["digits_mlp"])
    ticket = panel.Entrant(label="lth", method="lth", distribution="erk")
    shape = {"sparsities": [0.9, 0.95], "seeds": [0, 1]}
    ours = panel.entries(ticket, level, problems, {"digits_mlp": "unread"}, **shape)
    wanted = compare_plan.Wanted(label="lth", ours=ours, new=(), again=(), why_again="")
    todo = with_parents(wanted.runs)  # one dense run a seed, of both sparsities
    line = "6 runs: 4 of lth; 2 dense parents that they start from"
    assert compare_plan.said(wanted, todo) == line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--seeds", "0,12"],
            "--seeds 0,12: 12 is no seed of the panel; valid at level smoke: two",
        ),
        (
            ["--seeds", "1"],
            "--seeds 1: one seed compares nothing; valid at level smoke: two or more",
        ),
        (["--seeds", "1,1"], "seed"),
        (["--seeds", "one"], "--seeds 'one'; valid: numbers like 0,1,2"),
        (["--plan", "--json"], "--json: --plan does not use it; valid: without --json"),
        (["--plan", "--out", "."], "--out: --plan does not use it; valid: without --out"),
    ],
)
def test_bad_choices_are_refused_before_the_contract(arguments, words, tmp_path, capsys):
    assert main(["compare", "set", *arguments, "--runs", str(tmp_path / "runs")]) == 5
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert words in captured.err
    assert captured.out == ""


def test_a_page_of_some_seeds_is_named_by_them():
    asked = Request(reference="mine.py", settings=("alpha=0.5",), seeds=(0, 1, 2))
    assert page_name(asked, "mine") == "mine-alpha=0.5-seeds=0,1,2"


def test_a_speed_is_measured_by_one_thread_and_leaves_their_number(monkeypatch):
    seen, before = [], torch.get_num_threads()
    build = plan.build_model

    def watched(*args):
        model = build(*args)
        model.register_forward_pre_hook(lambda *_: seen.append(torch.get_num_threads()))
        return model

    monkeypatch.setattr(plan, "build_model", watched)
    torch.set_num_threads(2)
    try:
        speed, how = plan.measured_speed(workload("digits_mlp"), "cpu")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert speed > 0
    assert how == "measured on this CPU, batch 64"
    assert set(seen) == {1}
    assert 4 <= len(seen) <= plan.MOST_PASSES
