"""Every figure of the checkout, and the kinds of picture beside a sweep's."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from figures_made import made
from matplotlib import pyplot
from matplotlib.figure import Figure

from resparse import artifact
from resparse.__main__ import main
from resparse.errors import UsageError
from resparse.figures import bars as figure_bars
from resparse.figures import draw as figure_draw
from resparse.figures import figure
from resparse.tables.cells import exact_cells

EACH = [name for name in artifact.names() if figure.is_figure(name)]


def points_of(name: str, folder: Path, level: str = "smoke") -> tuple[figure.Figure, list]:
    """A figure, and its panels' points from made-up CSVs."""
    found = figure.load(name).at(level)
    for panel in found.panels:
        made(panel, folder, level)
    return found, [figure.points(found, panel, level, folder) for panel in found.panels]


def test_there_are_the_papers_figures():
    assert [f"itop/figure{n}" for n in (10, *range(2, 10))] == EACH


@pytest.mark.parametrize("name", EACH)
def test_every_figure_is_drawn_at_smoke(name, tmp_path, monkeypatch):
    """As SVG, not laid out: the PNG is another test's, and the layout half of the time."""
    save = Figure.savefig

    def only_svg(made, to, **how):
        if how["format"] == "svg":
            made.set_layout_engine("none")
            save(made, to, **how)

    monkeypatch.setattr(Figure, "savefig", only_svg)
    found, each = points_of(name, tmp_path)
    assert all(any(p.x is not None for p in some) for some in each)
    svg, _ = figure_draw.draw(found, "smoke", each)
    texts = [e.get("id", "") for e in ElementTree.fromstring(svg).iter()]
    assert sum(name.startswith("axes_") for name in texts) >= len(found.panels)
    assert any(name.startswith("legend_") for name in texts)


def test_panels_without_a_level_are_left_out_with_their_axes():
    whole = figure.load("itop/figure5")
    assert [whole.axis(panel) for panel in whole.panels] == ["interval", "length"]
    assert whole.at("mini") == whole
    some = figure.load("itop/figure3").at("mini")
    assert [panel.name for panel in some.panels] == ["panels/figure3_mlp"]
    with pytest.raises(UsageError, match=r"unknown level 'medium' of itop/figure3; valid: smoke"):
        figure.load("itop/figure3").at("medium")


def test_lines_of_one_method_are_told_apart_by_their_other_axes(tmp_path):
    points = points_of("itop/figure9", tmp_path)[1][0]
    names = dict.fromkeys(p.name for p in points)
    assert list(names) == ["Dense", "RigL, interval 60", "RigL, interval 25"]
    assert {p.x for p in points if p.method != "dense"} == {1.0, 2.0, 3.0}  # the level's lengths


def test_a_control_lies_at_its_own_sparsity_alone(tmp_path):
    points = points_of("itop/figure4", tmp_path)[1][0]
    stopped = [(p.sparsity, p.x) for p in points if p.name == "SET-stopped"]
    assert stopped == [(0.95, 2.0), (0.95, 3.0)]


def test_the_generalisation_error_is_a_difference_of_accuracies_seed_by_seed(tmp_path):
    points = points_of("itop/figure8", tmp_path)[1][0]
    dense = next(p for p in points if p.method == "dense")
    assert (dense.mean, dense.std) == (pytest.approx(95 - 89.2), pytest.approx(0.5))


def flops(length: float, mean: float, sparsity: float = 0.9) -> figure.Point:
    return figure.Point("SET", "set_itop", length, sparsity, sparsity, mean, 0, 0.5, length / 10, 3)


def test_bars_are_of_the_cheapest_training_as_accurate_as_dense():
    dense = flops(1.0, 90.0)._replace(method="dense", x=None)
    tried = [flops(1.0, 89.0), flops(5.0, 90.1), flops(2.0, 89.5), flops(9.0, 80.0, sparsity=0.5)]
    assert figure_bars.matching([dense, *tried], 0.9, 0.5) == (tried[2], True)
    assert figure_bars.matching([dense, *tried], 0.9, 0.4) == (tried[1], True)
    assert figure_bars.matching([dense, *tried], 0.5, 0.5) == (tried[3], False)
    assert figure_bars.matching([dense, *tried], 0.8, 0.5) is None  # nothing was trained there
    assert figure_bars.matching(tried, 0.9, 0.5) is None  # nothing to be as accurate as


def test_flops_are_of_the_length_that_was_trained(tmp_path):
    points = points_of("itop/figure2", tmp_path)[1][0]
    longest = max((p for p in points if p.method != "dense"), key=lambda p: p.length)
    assert longest.length == 3.0  # 20 at the paper level, which the cell's FLOPs are of
    assert longest.flops == pytest.approx((1 - longest.sparsity) * 3 / 20)


def test_flops_that_a_mask_decides_are_not_known_before_it_is_there():
    panel = artifact.load("itop/panels/figure7_mlp")
    for label in ("SNIP", "LTH", "SNIP-SET-ITOP", "LTH-SET-ITOP extended"):
        cells, numbers = exact_cells(panel, panel.row(label), 0.9)
        assert cells["train_flops"].value is None
        assert numbers["test_flops_total"] is None
    assert exact_cells(panel, panel.row("SET-ITOP"), 0.9)[0]["train_flops"].value > 0.09


@pytest.mark.parametrize("name", ["itop/figure3", "itop/figure7"])
def test_the_command_takes_a_level_of_some_panels_and_names_those_that_lack_it(name, capsys):
    """Figures 3 and 7 have an MLP at mini and no other network; it is planned, nothing trained."""
    assert main(["reproduce", name, "--level", "mini", "--plan", "--speed", "1"]) == 0
    said = capsys.readouterr().out
    assert f"{name} at level mini has no itop/panels/{name[5:]}_" in said
    assert "on cifar10_jpeg75" in said
    assert main(["reproduce", name, "--level", "huge", "--plan"]) == 5
    assert "unknown level 'huge'" in capsys.readouterr().err


@pytest.mark.parametrize(("columns", "fits"), [(3, 1), (6, 2)])
def test_a_legend_has_as_many_columns_as_the_figure_is_wide_enough_for(columns, fits):
    """Three names of 2.2 inches or so: one column in a figure of 4 inches, two in one of 6."""
    made, axis = pyplot.subplots(figsize=(4 if fits == 1 else 6, 3), layout="constrained")
    for name in "abc":
        axis.plot([0, 1], [0, 1], label=f"{name} SNIP-SET-ITOP, 2 x as long")
    legend = figure_draw._legend(made, columns)
    made.canvas.draw()
    pyplot.close(made)
    box = legend.get_window_extent()
    assert legend._ncols == fits
    assert box.x0 >= 0
    assert box.x1 <= made.bbox.width
    assert [text.get_text()[0] for text in legend.get_texts()] == list("abc")
