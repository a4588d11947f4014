"""Figures: panels that are tables, points read from what those write, pictures of the points."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from figures_made import made

from resparse import artifact
from resparse.asked import Options
from resparse.errors import Missing, UsageError
from resparse.figures import draw as figure_draw
from resparse.figures import figure
from resparse.figures import reproduce as reproduce_figure

NAME = "itop/figure3"


@pytest.fixture
def drawn(tmp_path):
    """Figure 3 and its points from made-up CSVs."""
    found = figure.load(NAME)
    for panel in found.panels:
        made(panel, tmp_path / "itop")
    each = [figure.points(found, panel, "smoke", tmp_path / "itop") for panel in found.panels]
    return found, each, tmp_path


def test_a_figure_is_told_from_a_table():
    assert figure.is_figure(NAME)
    assert not figure.is_figure("itop/table2")
    assert not figure.is_figure("itop/panels/figure3_mlp")
    with pytest.raises(UsageError, match="unknown table or figure 'itop/figure33'"):
        figure.is_figure("itop/figure33")


def test_what_needs_a_table_says_so_of_a_figure():
    with pytest.raises(UsageError, match=r"figure3 is a figure.*valid here: itop/panels/figure3_m"):
        artifact.load(NAME)


def test_all_panels_of_the_checkout_belong_to_a_figure():
    figures = [figure.load(name) for name in artifact.names() if figure.is_figure(name)]
    assert sorted(panel.id for f in figures for panel in f.panels) == artifact.panels()


def test_panels_share_the_runs_that_are_equal():
    """At smoke both convolutional panels are of one small network: trained once."""
    keys = []
    for panel in figure.load(NAME).panels:
        planned = artifact.plan(panel, "smoke", "unread", seeds=[0, 1, 2])
        keys.append({p.run.key for p in planned})
    assert keys[1] == keys[2]
    assert not keys[0] & keys[1]
    assert [len(k) for k in keys] == [57, 57, 57]  # 3 seeds of dense, and of 3 x (static, 5 SET)


def test_the_mini_level_is_a_twentieth_of_the_paper_and_sparse_where_that_pays():
    table = figure.load(NAME).panels[0]
    runs = {
        level: {
            p.label: p.run
            for p in artifact.plan(table, level, "unread", seeds=[0], sparsities=[0.95])
        }
        for level in ("mini", "paper")
    }
    assert [label for label in runs["paper"] if label not in runs["mini"]] == [
        f"SET interval {interval}" for interval in (4000, 300, 30)
    ]
    for label, mini in runs["mini"].items():
        paper = runs["paper"][label]
        assert (mini.engine, paper.engine) == ("auto", "masked")
        assert (mini.recipe.steps, paper.recipe.steps) == (3_510, 70_200)
        assert mini.recipe.lr_drops == (1_200, 2_401)
        if "interval" in paper.fields:
            assert mini.fields["interval"] == max(1, paper.fields["interval"] // 20)


def test_points_are_what_the_cells_say(drawn):
    found, (points, *_), _ = drawn
    at = [(p.method, p.x) for p in points if p.sparsity == 0.9]
    swept = [("set_itop", x) for x in (150.0, 25.0, 10.0, 3.0, 1.0)]
    assert at == [("dense", None), ("static", None), *swept]
    assert len(points) == 3 * 7 - 1  # one has no accuracy
    first = next(p for p in points if p.x == 150.0 and p.sparsity == 0.8)
    assert (first.name, first.method, first.length) == ("SET", "set_itop", 1.0)
    assert (first.mean, first.std, first.rs, first.seeds) == (
        pytest.approx(87.2), pytest.approx(0.5), 0.52, 3
    )  # fmt: skip
    assert found.axis(found.panels[0]) == "interval"


def test_points_that_no_report_has_written_are_missing(tmp_path):
    found = figure.load(NAME)
    with pytest.raises(Missing, match=r"figure3_mlp.csv: resparse reproduce .*figure3_mlp --level"):
        figure.points(found, found.panels[0], "smoke", tmp_path)


def test_means_of_fewer_runs_than_asked_are_told(drawn):
    found, each, _ = drawn
    short = [[each[0][0]._replace(seeds=2), *each[0][1:]], *each[1:]]
    page = reproduce_figure._page(found, "smoke", "figure3", short)
    assert "MLP on CIFAR-10: 1 of 20 means are of fewer than 3 runs." in page


def test_points_of_unsound_or_stale_runs_are_told(drawn):
    found, each, _ = drawn
    bad = each[0][0]._replace(note="seed 2 diverged: loss is nan at step 3; without: 60.00")
    old = each[0][1]._replace(verdict="STALE")
    page = reproduce_figure._page(found, "smoke", "figure3", [[bad, old, *each[0][2:]], *each[1:]])
    assert "MLP on CIFAR-10: 1 means hold a run that diverged or collapsed." in page
    assert "MLP on CIFAR-10: 1 points are of runs that other code made (STALE)." in page


def test_a_picture_follows_from_its_points(drawn):
    whole, each, _ = drawn
    panel = replace(whole.panels[0], sparsities=(0.9,))  # a sixth of the time
    found, some = replace(whole, panels=(panel,)), [[p for p in each[0] if p.sparsity == 0.9]]
    svg, png = figure_draw.draw(found, "smoke", some)
    assert (svg, png) == figure_draw.draw(found, "smoke", some)
    assert png.startswith(b"\x89PNG")
    other = [[p._replace(mean=p.mean + 1) for p in some[0]]]
    assert figure_draw.draw(found, "smoke", other)[0] != svg


def test_a_panel_says_what_was_trained_in_place_of_the_papers_network():
    panel = figure.load(NAME).panels[2]
    assert figure_draw._title(panel, "paper") == "ResNet-34 on CIFAR-100"
    assert figure_draw._title(panel, "smoke") == (
        "for ResNet-34 on CIFAR-100:\ndigits_resnet8, level smoke"
    )


def test_a_panel_is_a_row_of_axes_and_a_band_a_deviation_to_either_side(drawn, monkeypatch):
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    found, each, _ = drawn
    bands, pictures = [], set()
    monkeypatch.setattr(
        Axes, "fill_between", lambda _, x, low, high, **k: bands.append((x, low, high))
    )
    monkeypatch.setattr(Figure, "savefig", lambda made, *_, **__: pictures.add(made))
    figure_draw.draw(found, "smoke", each)
    (picture,) = pictures
    assert len(picture.axes) == 3 * (1 + 3 + 3)  # accuracy, a sparsity each, R_s on each of those
    x, low, high = next(band for band in bands if len(band[0]) == 5)
    assert x == [1.0, 3.0, 10.0, 25.0, 150.0]
    assert [b - a for a, b in zip(low, high, strict=True)] == pytest.approx([1.0] * 5)


def test_reproduced_panel_by_panel_then_drawn(monkeypatch, tmp_path, capsys):
    asked = []

    def panel(options):
        asked.append(options.name)
        found = next(p for p in figure.load(NAME).panels if p.id == options.name)
        made(found, tmp_path / "itop")
        print(json.dumps({"artifact": options.name}))
        return 2 if options.name.endswith("vgg16") else 0

    monkeypatch.setattr(reproduce_figure, "reproduce", panel)
    monkeypatch.setattr(figure_draw, "draw", lambda *_: (b"<svg/>", b"PNG"))
    options = Options(name=NAME, out=tmp_path, json=True)
    assert reproduce_figure.reproduce_figure(options) == 2
    said = json.loads(capsys.readouterr().out)
    assert [p["artifact"] for p in said["panels"]] == asked
    assert asked == [f"itop/panels/figure3_{net}" for net in ("mlp", "vgg16", "resnet34")]
    assert {Path(f).name for f in said["files"]} == {"figure3.svg", "figure3.png", "figure3.md"}
    page = (tmp_path / "itop/figure3.md").read_text()
    assert "panels/figure3_mlp.csv" in page
    assert "MLP on CIFAR-10: 1 points are not drawn" in page  # the one that ``made`` leaves out
    assert "fewer than" not in page
    shutil.rmtree(tmp_path / "itop")
    part = replace(options, seeds=(0,))  # a part writes no files, so nothing is drawn
    assert reproduce_figure.reproduce_figure(part) == 2
    assert json.loads(capsys.readouterr().out)["files"] == []


def test_rows_are_chosen_of_a_panel():
    with pytest.raises(UsageError, match=r"--only with itop/figure3; valid: with one of its"):
        reproduce_figure.reproduce_figure(Options(name=NAME, only=("Dense",)))
    with pytest.raises(UsageError, match=r"--sparsity with itop/figure3"):
        reproduce_figure.reproduce_figure(Options(name=NAME, sparsities=(0.9,)))


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('axis = "interval"', 'axis = "batch_size"', "axis = 'batch_size', which no sweep of"),
        ('axis = "interval"', 'axis = ["interval"]', "axis has 1 values for 3 panels; valid: one"),
        ("[figure]", '[figure]\nshows = "generalisation"', "figure3_mlp measures no train_top1"),
        ('"figure3_vgg16"', '"figure3_mlp"', "panel figure3_mlp is given twice"),
        ('"figure3_vgg16"', '"figure3_vgg"', "unknown table or figure 'itop/panels/figure3_vgg'"),
        ('name = "figure3"', 'name = "figure4"', "'itop/figure4'; valid: 'itop/figure3'"),
        ('scale = "log"', 'scale = "logit"', "scale = 'logit'; valid: 'linear' or 'log'"),
    ],
)
def test_a_bad_file_is_refused_by_key(monkeypatch, old, new, why):
    whole = (artifact.ROOT / f"benchmarks/{NAME}.toml").read_text()
    assert whole.count(old) == 1
    true = figure.read_text
    monkeypatch.setattr(
        figure,
        "read_text",
        lambda path, where: whole.replace(old, new) if NAME in where else true(path, where),
    )
    with pytest.raises(UsageError) as error:
        figure.load(NAME)
    assert why in str(error.value)
