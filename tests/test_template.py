"""What the README and the template show is what works: both are taken from the text as they are."""

import re
from pathlib import Path

import pytest
import torch

from resparse.__main__ import main
from resparse.compare import panel
from resparse.contract_process import check_apart
from resparse.files import sha256
from resparse.masks import Layer, Masks, drop_and_grow

ROOT = Path(__file__).resolve().parents[1]


def blocks(path):
    """The Python blocks of a Markdown file."""
    return re.findall(r"```python\n(.*?)```", (ROOT / path).read_text(), re.S)


def written(folder, name, text):
    file = folder / f"{name}.py"
    file.write_text(text)
    return str(file)


def test_the_readmes_method_is_short_and_keeps_the_contract(tmp_path):
    (text,) = blocks("README.md")
    assert len([line for line in text.splitlines() if line]) <= 15
    assert len(check_apart(written(tmp_path, "mine", text), tmp_path / "runs")) >= 15


def test_the_page_that_is_shown_is_of_the_readmes_method():
    (text,) = blocks("README.md")
    page = (ROOT / "reports" / "compare" / "mine.md").read_text()
    assert f"sha256 {sha256(text)}" in page
    assert re.search(r"worse than [^;]*RigL \(-", page)


def test_the_templates_method_keeps_the_contract(tmp_path):
    method, _ = blocks("methods/TEMPLATE.md")
    file = written(tmp_path, "my_method", method)
    assert len(check_apart(file, tmp_path / "runs")) >= 15


def test_the_template_says_what_every_part_of_a_layer_is():
    text = (ROOT / "methods/TEMPLATE.md").read_text()
    parts = text.split("What a layer shows")[1].split("\n\n`drop_and_grow`")[0]
    assert re.findall(r"(?:^- |; )`(\w+)`:", parts, re.M) == list(Layer._fields)
    assert "name -> " + ", ".join(Layer._fields) in text


def test_what_a_layer_shows_is_what_the_template_says():
    """Shapes, what is 0 outside the mask, what is dense, and what an update may regrow."""
    weight = torch.nn.Parameter(torch.arange(1.0, 7.0).reshape(2, 3))
    kept = torch.tensor([[True, True, False], [False, True, False]])
    masks = Masks({"fc": weight}, {"fc": kept})
    optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9)
    dense = torch.ones(2, 3)
    assert masks.layers(None, optimizer)["fc"].momentum is None
    weight.grad = dense.clone()
    masks.mask_gradients()
    optimizer.step()
    layer = masks.layers({"fc": dense}, optimizer)["fc"]
    assert all(tensor.shape == weight.shape for tensor in layer)
    assert not layer.weight[~kept].any()
    assert not layer.momentum[~kept].any()
    assert layer.momentum[kept].all()
    assert layer.grad.all()
    scores = (layer.mask, layer.weight.abs(), layer.momentum)
    ties = torch.Generator()
    assert torch.equal(drop_and_grow(*scores, 0.5, ties=ties).mask, kept)
    assert not torch.equal(drop_and_grow(*scores, 0.5, ties=ties, regrow_dropped=False).mask, kept)


def test_the_panels_interval_replaces_the_templates_and_a_setting_replaces_both():
    """25, as the text says; the page shows the order that a method inherits."""
    found = panel.load()
    level = found.level("smoke")
    assert level.fields["interval"] == 25
    hashes = dict.fromkeys(level.workloads, "unread")
    for given, interval in (({}, 25), ({"interval": 50}, 50)):
        entrant = panel.Entrant(label="x", method="rigl", distribution="erk", fields=given)
        known = panel.problems(level.workloads)
        shape = {"sparsities": [0.9], "seeds": [0]}
        run = panel.entries(entrant, level, known, hashes, **shape)[0].run
        assert (run.fields["interval"], run.fields["order"]) == (interval, "replace")


def test_the_templates_workload_trains(tmp_path, capsys):
    _, problem = blocks("methods/TEMPLATE.md")
    file = written(tmp_path, "my_workload", problem.replace("epochs=50", "epochs=1"))
    arguments = ["--density", "0.2", "--seeds", "0", "--set", "interval=5"]
    where = ["--workload", file, "--runs", str(tmp_path / "runs")]
    assert main(["run", "rigl", *arguments, *where]) == 0
    assert re.search(r"top-?1", capsys.readouterr().out)


def test_the_templates_workload_can_be_costed(tmp_path, capsys):
    _, problem = blocks("methods/TEMPLATE.md")
    file = written(tmp_path, "my_workload", problem)
    given = ["--density", "0.2", "--distribution", "erk"]
    assert main(["flops", "--workload", file, *given]) == 0
    # 64 x 100 + 100 x 10 multiply-accumulates, two FLOPs each
    assert "7,400 MACs dense (two counters agree), 14,800 FLOPs" in capsys.readouterr().out


@pytest.mark.parametrize("path", ["README.md", "methods/TEMPLATE.md"])
def test_the_commands_that_are_shown_exist(path):
    from resparse.commands import COMMANDS

    text = (ROOT / path).read_text()
    sessions = set(re.findall(r"nox -s (\w+)", text)) - {"table2", "tests", "lint", "mutants"}
    assert sessions <= set(COMMANDS), sessions
    assert "compare" in sessions
