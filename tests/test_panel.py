"""The panel's file and its runs; the comparison made of them, by hand."""

import dataclasses

import pytest

from resparse.artifact import ROOT
from resparse.asked import Request
from resparse.compare import command, panel
from resparse.compare.comparison import Found, compare
from resparse.compare.contest import Standing
from resparse.compare.panel import Entrant, Entry
from resparse.errors import UsageError

PANEL = panel.load()
SMOKE = PANEL.level("smoke")
PROBLEMS = panel.problems(SMOKE.workloads)
HASHES = dict.fromkeys(PROBLEMS, "unread")


def entries(entrant, **changes):
    shape = {"sparsities": PANEL.panel.sparsities, "seeds": SMOKE.seeds} | changes
    return panel.entries(entrant, SMOKE, PROBLEMS, HASHES, **shape)


def test_the_smoke_panel_is_the_one_that_is_promised():
    assert len(SMOKE.seeds) == 10
    assert PANEL.panel.sparsities == (0.9, 0.95)
    assert {p.model for p in PROBLEMS.values()} == {"resnet8", "mlp_small"}
    methods = {b.method for b in PANEL.baseline}
    assert methods == {"static", "set", "rigl", "gmp", "small_dense", "dense"}
    assert set(PANEL.levels) == {"smoke", "mini", "conv", "paper"}


def test_every_entrant_gets_the_levels_fields_and_the_same_recipe_seeds_and_budget():
    runs = [e.run for b in PANEL.baseline for e in entries(b, seeds=[3]) if e.length == 1]
    assert {run.fields["interval"] for run in runs if "interval" in run.fields} == {25}
    assert {run.seed for run in runs} == {3}
    for model in ("resnet8", "mlp_small"):
        assert len({run.recipe for run in runs if run.model == model}) == 1
    assert {run.density for run in runs if run.method != "dense"} == {0.1, 0.05}


def test_a_length_stretches_the_steps_and_what_the_entrant_sets_wins():
    entrant = Entrant(label="x", method="set", distribution="er", fields={"interval": 5})
    (short,) = {e.run.recipe.steps for e in entries(entrant, lengths=[0.5])}
    assert short == 350
    run = entries(entrant)[0].run
    assert (run.fields["interval"], run.distribution, run.recipe.steps) == (5, "er", 700)


def test_a_method_with_a_parent_starts_from_a_dense_run_of_its_seed():
    run = entries(Entrant(label="lth", method="lth", distribution="erk"), seeds=[4])[0].run
    assert (run.parent.method, run.parent.density, run.parent.seed) == ("dense", 1.0, 4)
    assert run.start_step == 0
    assert run.parent.recipe == run.recipe


@pytest.mark.parametrize("level", ["smoke", "mini", "conv", "paper"])
def test_every_level_trains_workloads_that_there_are(level):
    asked = PANEL.level(level)
    assert list(panel.problems(asked.workloads, asked.recipe)) == list(asked.workloads)


def test_minis_recipe_is_a_twentieth_of_the_workloads_and_its_engine_that_of_the_figures():
    mini, (baseline, *_) = PANEL.level("mini"), [b for b in PANEL.baseline if b.label == "SET"]
    problems = panel.problems(mini.workloads, mini.recipe)
    hashes, shape = dict.fromkeys(problems, "unread"), {"sparsities": [0.9], "seeds": [0]}
    (run,) = {e.run for e in panel.entries(baseline, mini, problems, hashes, **shape, lengths=[1])}
    assert (run.engine, run.recipe.steps, run.recipe.lr_drops) == ("auto", 3510, (1200, 2401))
    whole = panel.problems(mini.workloads)[mini.workloads[0]]
    assert whole.recipe.epochs == 20 * problems[mini.workloads[0]].recipe.epochs
    assert {e.run.engine for e in entries(baseline)} == {"masked"}


def test_what_is_frozen_and_compared_at_mini_is_of_its_recipe(monkeypatch):
    """freeze and regression take the one, compare's own method the other."""
    monkeypatch.setattr(panel, "images", lambda known, root: dict.fromkeys(known, "unread"))
    frozen = {e.run.recipe.steps for e in panel.baseline_entries(PANEL, "mini") if e.length == 1}
    request = Request(reference="set", level="mini")
    (compared,) = command._problems(request, PANEL.level("mini")).values()
    assert frozen == {3510} == {compared.recipe.resolve(compared.train_size, 1).steps}


def test_a_recipe_key_that_is_none_is_refused_with_the_level(tmp_path, monkeypatch):
    text = (ROOT / panel.WHERE).read_text().replace("recipe = { epochs", "recipe = { epoch")
    (tmp_path / panel.WHERE).parent.mkdir(parents=True)
    (tmp_path / panel.WHERE).write_text(text)
    monkeypatch.setattr(panel, "ROOT", tmp_path)
    with pytest.raises(UsageError, match=r"panel.toml: levels.mini.recipe: .*epoch"):
        panel.load()


def test_a_level_of_an_unknown_workload_is_named(tmp_path, monkeypatch):
    text = (ROOT / panel.WHERE).read_text().replace('"cifar10_jpeg75_resnet20"', '"nowhere"')
    (tmp_path / panel.WHERE).parent.mkdir(parents=True)
    (tmp_path / panel.WHERE).write_text(text)
    monkeypatch.setattr(panel, "ROOT", tmp_path)
    where = r"benchmarks/compare/panel.toml: levels.conv.workloads: unknown workload 'nowhere'; val"
    with pytest.raises(UsageError, match=where):
        panel.load()


def test_an_unknown_level_lists_the_valid():
    with pytest.raises(UsageError, match=r"unknown level 'huge'.*smoke, mini, conv, paper"):
        PANEL.level("huge")


def found(label, seed, top1, cost, *, length=1.0, workload="digits_mlp", status="completed"):
    """A finished run of given accuracy and cost."""
    run = entries(Entrant(label="static", method="static", distribution="erk"), seeds=[seed])[0].run
    steps = round(700 * length)
    recipe = dataclasses.replace(run.recipe, steps=steps)
    run = dataclasses.replace(run, recipe=recipe)
    entry = Entry(label=label, workload=workload, sparsity=0.9, length=length, run=run)
    outcome = {
        "top1_last": top1, "rs": 0.3, "rs_trained": 0.2, "dense_forward_flops": 100.0,
        "train_flops": {"init": 0.0, "train": cost, "parent": 0.0}, "test_flops": 10.0,
        "nnz": {"fc": 5}, "maskable": 50,
    }  # fmt: skip
    return Found(entry=entry, status=status, outcome=outcome)


OURS = [found("mine", seed, top1, 100.0) for seed, top1 in enumerate([93.0, 94.0, 95.0, 94.0])]
BASE = [91.0, 93.0, 92.0, 92.0]


def baseline(lengths):
    return [
        found("Static", seed, top1 + shift, cost, length=length)
        for length, (cost, shift) in lengths.items()
        for seed, top1 in enumerate(BASE)
    ]


def test_a_comparison_at_equal_steps_and_at_equal_flops():
    runs = baseline({1.0: (100.0, 0.0), 0.5: (50.0, -3.0), 2.0: (200.0, 2.0)})
    result = compare(OURS, runs, margin=0.5, tries=1)
    (line,) = result.overall
    assert (line.baseline, line.setting) == ("Static", None)
    assert line.steps.difference == 2.0  # 2, 1, 3, 2
    assert line.steps == line.flops  # the baseline costs the same at length 1
    assert line.flops_note == ""
    flops = {"train_flops": {"init": 20.0, "train": 180.0, "parent": 0.0}}
    dear = [dataclasses.replace(f, outcome=f.outcome | flops) for f in OURS]
    (line,) = compare(dear, runs, margin=0.5, tries=1).overall
    assert (line.steps.difference, line.flops.difference) == (2.0, 0.0)  # against its length 2


def test_where_no_length_costs_as_much_it_is_said_and_nothing_is_made_up():
    (line,) = compare(OURS, baseline({1.0: (40.0, 0.0)}), margin=0.5, tries=1).overall
    assert line.flops is None
    assert line.flops_note == "its longest training costs 0.40 of it"
    assert line.steps.difference == 2.0


def test_settings_are_averaged_seed_by_seed():
    ours = [*OURS, *(found("mine", s, 80.0, 100.0, workload="digits_resnet8") for s in range(4))]
    theirs = baseline({1.0: (100.0, 0.0)})
    theirs += [found("Static", s, 84.0, 100.0, workload="digits_resnet8") for s in range(4)]
    result = compare(ours, theirs, margin=0.5, tries=1)
    assert result.overall[0].steps.difference == -1.0  # of +2 and -4
    assert [line.steps.difference for line in result.each] == [2.0, -4.0]
    assert result.each[1].steps.standing is Standing.WORSE


def test_a_missing_seed_is_named_not_left_out():
    with pytest.raises(ValueError, match=r"Static at length 1, digits_mlp, .* no run of seed 3"):
        compare(OURS, baseline({1.0: (100.0, 0.0)})[:3], margin=0.5, tries=1)


def test_summaries_count_unstable_runs_and_keep_them_in_the_mean():
    ours = [*OURS[:3], found("mine", 3, 10.0, 100.0, status="collapsed")]
    result = compare(ours, baseline({1.0: (100.0, 0.0)}), margin=0.5, tries=1)
    mine = next(s for s in result.summaries if s.label == "mine")
    assert (mine.unstable, mine.seeds, mine.top1) == (1, 4, 73.0)
    # 100 FLOPs of 3 x 100 a step and image, 64 images, 700 steps
    assert mine.train_flops_vs_dense == pytest.approx(100.0 / (3 * 100 * 64 * 700))
