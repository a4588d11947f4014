"""Methods and workloads by name, by file, and by an installed package's entry point."""

import json
import sys

import pytest

from resparse import data, models, registry, resolve, workloads
from resparse.__main__ import main
from resparse.errors import UsageError
from resparse.files import file_sha256

METHOD = """
from dataclasses import dataclass
from resparse.method import Method

@dataclass(kw_only=True)
class Mine(Method):
    number: int = 3
"""
WORKLOAD = """
from torch import nn
from resparse.data import digits
from resparse.workloads import RecipeSpec

SHAPE = digits.SHAPE
RECIPE = RecipeSpec(batch_size=64, epochs=2, lr=0.1, lr_shape="cosine")
PRECISION = "portable"

def build_model(classes, image_shape):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, WIDTH), nn.ReLU(), nn.Linear(WIDTH, classes))

def load(root):
    return digits.load(root)

WIDTH = 16
"""

OTHERS = """from pydantic import BaseModel
class Theirs(BaseModel, extra="forbid"):
    x: int
Theirs(y=2)
RECIPE ="""


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    """What a test adds is known to that test alone."""
    for module in (registry, workloads, models, data):
        monkeypatch.setattr(module, "_outside", {})


def written(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_name_of_the_suite_needs_no_file(tmp_path):
    assert resolve.resolve_method("rigl", tmp_path) == ("rigl", "")
    assert resolve.resolve_workload("digits_mlp", tmp_path) == "digits_mlp"
    assert list(tmp_path.iterdir()) == []


def test_a_method_file_runs_as_its_copy_and_an_edit_is_another(tmp_path):
    file = written(tmp_path / "mine.py", METHOD)
    store = tmp_path / "runs"
    name, digest = resolve.resolve_method(str(file), store)
    assert (name, digest) == ("mine", file_sha256(file))
    copy = store / "methods" / f"mine-{digest[:16]}.py"
    assert copy.read_text() == METHOD
    assert registry.source("mine") == copy
    assert registry.own_fields(registry.load("mine"))["number"] == 3

    file.write_text(METHOD.replace("= 3", "= 4"))
    assert resolve.resolve_method(str(file), store)[1] != digest
    assert registry.own_fields(registry.load("mine"))["number"] == 4
    assert copy.is_file()


def test_a_workload_file_and_its_edit(tmp_path):
    file = written(tmp_path / "wide.py", WORKLOAD)
    assert resolve.resolve_workload(str(file), tmp_path / "runs") == "wide"
    assert workloads.workload("wide").shapes == {"1": (16, 64), "3": (10, 16)}
    file.write_text(WORKLOAD.replace("WIDTH = 16", "WIDTH = 8"))
    resolve.resolve_workload(str(file), None)
    assert workloads.workload("wide").shapes["1"] == (8, 64)
    assert len(list((tmp_path / "runs" / "workloads").iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("rigl.py", METHOD, "method rigl is one of the suite's"),
        ("mine.py", "import torch\ndef x(:\n", r"mine\.py, line 2: SyntaxError: invalid syntax$"),
        ("mine.py", "x = 1\ny = 1 / 0\n", r"mine\.py, line 2: ZeroDivisionError"),
        ("mine.py", "x = 1\n", "defines 0 Method classes; valid: one"),
        ("my method.py", METHOD, "its name is the method's; valid: like my_method.py"),
    ],
)
def test_a_file_that_is_no_method(tmp_path, name, text, words):
    file = written(tmp_path / name, text)
    with pytest.raises(UsageError, match=words):
        resolve.resolve_method(str(file), tmp_path / "runs")


def test_names_that_are_not_there(tmp_path):
    with pytest.raises(UsageError, match="did you mean rigl"):
        resolve.resolve_method("rigI", tmp_path)
    with pytest.raises(UsageError, match=r"none\.py: there is none"):
        resolve.resolve_method("none.py", tmp_path)
    with pytest.raises(UsageError, match="unknown workload 'digitz'; valid: digits_resnet8"):
        resolve.resolve_workload("digitz", tmp_path)
    file = written(tmp_path / "digits_mlp.py", WORKLOAD)
    with pytest.raises(UsageError, match="workload digits_mlp is one of the suite's"):
        resolve.resolve_workload(str(file), tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (", classes))", ", klasses))", r"wide\.py, line 11: NameError: name 'klasses'"),
        ("return nn.", "return nn.ReLU()\n    nn.", "no convolution and no linear layer"),
        ("def load(", "def lode(", "has no load, def load"),
        ("= digits.SHAPE", "= (10, (1, 8, 8), 897)", r"has no SHAPE, SHAPE = Shape\(classes=10"),
        ('"portable"', '"fp8"', "PRECISION = 'fp8'; valid: portable, fp64, fp32"),
        (", lr=0.1", ", lrate=1", r"^wide\.py, line 7: RecipeSpec: unknown key 'lrate'; valid: b"),
        (", lr=0.1", ", lr=-1.0", r"^wide\.py, line 7: RecipeSpec: lr = -1\.0; valid: above 0$"),
        (", lr=0.1", "", r"^wide\.py, line 7: RecipeSpec: lr is missing; needed: batch_size, lr,"),
        (
            ", lr=0.1",
            ", lr=0.1, steps=9",
            r"epochs = 2(\.0)? and steps = 9; valid: one of the two$",
        ),
        ("RECIPE =", OTHERS, r"^wide\.py, line 10: Theirs: unknown key 'y'; valid: without it$"),
    ],
)
def test_a_file_that_is_no_workload(tmp_path, old, new, words):
    assert old in WORKLOAD
    file = written(tmp_path / "wide.py", WORKLOAD.replace(old, new))
    with pytest.raises(UsageError, match=words):
        resolve.resolve_workload(str(file), None)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("= digits.SHAPE", "= digits.SHAPE._replace(classes=9)", r"SHAPE is .*=9.*returns .*=10"),
        ("digits.load(root)", "open('/nowhere')", r"wide\.py, line 14: FileNotFoundError"),
        ("digits.load(root)", "[]", "what load returns has no classes"),
    ],
)
def test_data_that_no_training_can_use(tmp_path, old, new, words):
    assert old in WORKLOAD
    file = written(tmp_path / "wide.py", WORKLOAD.replace(old, new))
    problem = workloads.workload(resolve.resolve_workload(str(file), None))
    with pytest.raises(UsageError, match=words):
        resolve.images(problem, None)


def test_flops_of_a_workload_file(tmp_path, capsys):
    file = written(tmp_path / "wide.py", WORKLOAD)
    rest = ["--density", "0.5", "--distribution", "erk", "--json"]
    assert main(["flops", "--workload", str(file), *rest]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["forward_macs"] == found["maskable"] == 64 * 16 + 16 * 10
    assert found["params"] == 64 * 16 + 16 * 10 + 16 + 10
    assert found["nnz"] == 592  # half of 1,184
    # over its 28 steps no method of interval 100 moves a mask: set costs as static
    ratios = found["train_flops_vs_dense"]
    assert ratios["set"] == ratios["static"] == 0.5
    assert ratios["rigl"] == round((3 * 0.5 * 100 + 2 * 0.5 + 1) / 101 / 3, 6)  # its own formula
    assert main(["flops", "--workload", "digits_mlp", *rest]) == 0
    mlp = json.loads(capsys.readouterr().out)
    assert main(["flops", "--model", "mlp_small", "--dataset", "digits", *rest]) == 0
    same = json.loads(capsys.readouterr().out)
    del mlp["train_flops_vs_dense"], same["train_flops_vs_dense"]  # over 700 and 32,000 steps
    assert mlp == same


@pytest.mark.parametrize(
    "given",
    [[], ["--model", "mlp"], ["--workload", "digits_mlp", "--dataset", "digits"]],
)
def test_flops_of_a_network_named_in_one_way(given, capsys):
    assert main(["flops", *given, "--density", "0.5", "--distribution", "erk"]) == 5
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "valid: --workload, or --model and --dataset" in said
    assert " ".join(given) in said


def package(folder, name, points):
    """An installed package whose module ``name`` holds METHOD and offers entry points."""
    written(folder / f"{name}.py", METHOD)
    info = folder / f"{name}-1.dist-info"
    written(info / "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    lines = "".join(f"{point} = {value}\n" for point, value in points.items())
    written(info / "entry_points.txt", f"[resparse.methods]\n{lines}")


def test_an_installed_package_offers_a_method(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    points = {"fancy": "theirs:Mine", "gone": "nowhere.at:all", "rigl": "theirs:Mine"}
    package(tmp_path, "theirs", points)
    name, digest = resolve.resolve_method("fancy", tmp_path / "runs")
    assert (name, digest) == ("fancy", file_sha256(tmp_path / "theirs.py"))
    assert (tmp_path / "runs" / "methods" / f"fancy-{digest[:16]}.py").is_file()
    assert registry.load("fancy").__name__ == "Mine"
    assert resolve.resolve_method("rigl", tmp_path / "runs") == ("rigl", "")
    with pytest.raises(UsageError, match=r"'nowhere.at:all' of method gone: No module"):
        resolve.resolve_method("gone", tmp_path / "runs")
    package(tmp_path, "others", {"fancy": "others:Mine"})
    with pytest.raises(UsageError, match=r"fancy is offered by several.*others:Mine, theirs:Mine"):
        resolve.resolve_method("fancy", tmp_path / "runs")
