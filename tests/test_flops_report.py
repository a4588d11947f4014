"""`resparse flops`: every valid pair, both counters, the JSON and the printed table."""

import json

import pytest
import torch
from rich.console import Console
from torch import nn

from resparse import data, models, workloads
from resparse.__main__ import main
from resparse.errors import UsageError, VerdictFailed
from resparse.flops import layer_macs
from resparse.micronet import Rules
from resparse.models import MODELS, takes
from resparse.render_flops import layer_table, sums
from resparse.report_flops import counted_twice, flops_report
from resparse.workloads import shapes_of

PAIRS = [(model, dataset) for model in MODELS for dataset in data.NAMES]


@pytest.mark.parametrize(("model", "dataset"), PAIRS)
def test_a_pair_has_as_many_outputs_as_classes_or_is_refused(model, dataset):
    described = data.describe(dataset)
    if takes(model, described.image_shape):
        assert list(shapes_of(model, dataset).values())[-1][0] == described.classes
    else:
        with pytest.raises(UsageError, match=f"model {model} does not take images of"):
            flops_report(model, dataset, 0.1, "erk")


def test_there_are_valid_pairs_of_the_smoke_level_and_of_imagenet():
    valid = {pair for pair in PAIRS if takes(pair[0], data.describe(pair[1]).image_shape)}
    assert {("resnet8", "digits"), ("resnet18", "imagenet"), ("resnet50", "imagenet")} <= valid
    assert ("resnet20", "imagenet") not in valid


def test_the_report_by_hand():
    """The smoke level's MLP, a tenth by the uniform rule: the first layer stays dense."""
    report = flops_report("mlp_small", "digits", 0.1, "uniform")
    dense = {"fc1": 256 * 64, "fc2": 128 * 256, "fc3": 10 * 128}
    kept = {"fc1": 16_384, "fc2": 3_277, "fc3": 128}
    assert {layer["name"]: layer["macs"] for layer in report["layers"]} == dense
    assert {layer["name"]: layer["nnz"] for layer in report["layers"]} == kept
    assert report["forward_macs"] == sum(dense.values())
    assert report["forward_flops"] == 2 * sum(dense.values())
    assert report["params"] == sum(dense.values()) + 256 + 128 + 10
    assert (report["maskable"], report["nnz"]) == (sum(dense.values()), sum(kept.values()))
    assert report["forward_flops_vs_dense"] == sum(kept.values()) / sum(dense.values())
    neurons = 256 + 128 + 10
    found = report["micronet"]
    assert found["multiplications"] == sum(kept.values()) + neurons
    assert found["additions"] == sum(kept.values()) - neurons + neurons
    assert found["flops"] == 2 * sum(kept.values()) + neurons
    assert found["dense_flops"] == 2 * sum(dense.values()) + neurons
    assert found["flops_vs_dense"] == found["flops"] / found["dense_flops"]
    # masks of the two sparse layers, a bit a weight
    bits = 32 * (sum(kept.values()) + neurons) + dense["fc2"] + dense["fc3"]
    assert found["storage_bytes"] == bits / 8
    assert found["dense_storage_bytes"] == 4 * (sum(dense.values()) + neurons)
    assert sum(layer["multiplications"] for layer in report["layers"]) == found["multiplications"]
    assert sum(layer["additions"] for layer in report["layers"]) == found["additions"]


def test_other_rules_are_counted_and_said():
    rules = Rules(relu_multiplications=0, multiplication_bits=16)
    plain = flops_report("mlp_small", "digits", 1.0, "dense")["micronet"]
    found = flops_report("mlp_small", "digits", 1.0, "dense", rules=rules)["micronet"]
    assert found["rules"]["multiplication_bits"] == 16
    assert found["additions"] == plain["additions"] == 50_432
    assert found["flops"] == 50_432 / 2 + 50_432


class Repeated(nn.Conv2d):
    """A convolution that is applied twice."""

    def forward(self, x):
        return super().forward(super().forward(x))


def test_counters_that_disagree_are_an_error_with_both_numbers(monkeypatch):
    monkeypatch.setattr(models, "_outside", {})
    models.add("repeated", lambda classes, image_shape: repeated(classes))
    with pytest.raises(VerdictFailed, match=r"layer 0: fvcore counts 1,152 MACs, .* counter 576;"):
        counted_twice("repeated", "digits", {"0": 1_152, "2": 640})
    assert counted_twice("repeated", "digits", {"0": 576, "2": 640})["0"].macs == 576
    assert layer_macs(repeated(10), (1, 8, 8)) == {"0": 1_152, "2": 640}


def repeated(classes):
    return nn.Sequential(Repeated(1, 1, 3, padding=1), nn.Flatten(), nn.Linear(64, classes))


ARGUMENTS = ["--dataset", "digits", "--density", "0.1", "--distribution", "erk"]
KEYS = {
    *("forward_macs", "forward_flops", "forward_flops_vs_dense", "train_flops_vs_dense"),
    *("params", "maskable", "nnz", "micronet", "layers"),
}
LAYER = {"name", "shape", "macs", "nnz", "density", "multiplications", "additions"}


def test_json_has_both_counts(capsys):
    assert main(["flops", "--model", "resnet8", *ARGUMENTS, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == KEYS
    assert {frozenset(layer) for layer in found["layers"]} == {frozenset(LAYER)}
    assert found["micronet"]["rules"]["batch_norm"] == "uncounted"


def test_the_printed_table_has_a_row_a_layer_the_sums_and_the_rules(capsys):
    assert main(["flops", "--model", "resnet8", *ARGUMENTS]) == 0
    text = capsys.readouterr().out
    report = flops_report("resnet8", "digits", 0.1, "erk")
    lines = [[cell.strip() for cell in line.split("│")] for line in text.splitlines()]
    rows = {cells[1]: cells[2:-1] for cells in lines if len(cells) == 9}
    assert list(rows) == [*(layer["name"] for layer in report["layers"]), "total"]
    # 4 filters of 9 weights at 64 positions, a ReLU each; 25 kept, one sum less a filter
    assert rows["conv1"] == ["4x1x3x3", "25", "0.6944", "2,304", "1,856", "1,344"]
    assert rows["total"] == ["4,964", "496", "0.0999", "49,568", "10,055", "7,357"]
    assert "density 0.1 by erk" in text
    assert "49,568 MACs dense (two counters agree)" in text
    assert "batch norm uncounted" in text
    methods = {cells[1]: cells[2] for cells in lines if len(cells) == 4}
    assert methods["static"] == f"{report['forward_flops_vs_dense']:.4f}"
    assert set(methods) == set(report["train_flops_vs_dense"])
    assert max(map(len, text.splitlines())) <= 120


def test_the_printed_sums_are_the_reports():
    """A tenth of the smoke level's MLP; bytes in millions, as elsewhere in the field."""
    report = flops_report("mlp_small", "digits", 0.1, "uniform")
    weights, kept, neurons = 50_432, 16_384 + 3_277 + 128, 256 + 128 + 10
    masks = 128 * 256 + 10 * 128  # bits, of the layers that are not dense
    sparse, whole = 4 * (kept + neurons) + masks / 8, 4 * (weights + neurons)
    flops, dense = 2 * kept + neurons, 2 * weights + neurons
    assert sums(report)[:3] == [
        f"parameters: {weights + neurons:,}; maskable 50,432, kept {kept:,}",
        f"forward, an image: 50,432 MACs dense (two counters agree), {2 * weights:,} FLOPs; "
        f"sparse {kept / weights:.4f} x dense",
        f"MicroNet: {flops:,} FLOPs of {dense:,} dense ({flops / dense:.4f} x), "
        f"{sparse / 1e6:.3f} MB of {whole / 1e6:.3f} MB",
    ]
    assert f"{sparse / 1e6:.3f}" != f"{sparse / 2**20:.3f}"


def test_a_narrow_terminal_cuts_no_number():
    report = flops_report("resnet8", "digits", 0.1, "erk")
    console = Console(width=60)
    with console.capture() as captured:
        console.print(layer_table(report, "narrow"))
    assert "…" not in captured.get()


def test_the_report_leaves_the_global_stream():
    rng = torch.get_rng_state()
    flops_report("mlp_small", "digits", 0.1, "erk")
    assert torch.equal(torch.get_rng_state(), rng)


WORKLOAD = """
from torch import nn
from resparse.data import digits
from resparse.workloads import RecipeSpec

SHAPE = digits.SHAPE
RECIPE = RecipeSpec(batch_size=64, epochs=1, lr=0.1, lr_shape="cosine")
load = lambda root: digits.load(root)

def build_model(classes, image_shape):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 7))
"""


@pytest.mark.parametrize("command", [["flops", "--density", "0.1"], ["run", "static"]])
def test_a_workload_with_other_outputs_than_classes_ends_with_both_numbers(
    command, tmp_path, capsys, monkeypatch
):
    for module in (workloads, models, data):
        monkeypatch.setattr(module, "_outside", {})
    file = tmp_path / "seven.py"
    file.write_text(WORKLOAD)
    where = ["--runs", str(tmp_path / "runs")] if command[0] == "run" else []
    assert main([*command, "--workload", str(file), "--distribution", "erk", *where]) == 5
    assert "model seven has 7 outputs, its dataset 10 classes" in capsys.readouterr().err
