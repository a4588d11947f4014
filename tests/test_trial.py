"""A workload from outside is tried before anything trains: each fault in one sentence."""

import pytest
import torch
from test_resolve import WORKLOAD, forget, written

from resparse.__main__ import main
from resparse.errors import UsageError
from resparse.resolve import resolve_workload

__all__ = ["forget"]  # a fixture for this file as well
NET = "\n\nclass Net(nn.Module):\n    def __init__(self, classes):\n        super().__init__()\n"
NET += "        self.inp = nn.Linear(8, 32)\n        self.out = nn.Linear(32, classes)\n"
MORE = "        self.more = {more}\n\n    def forward(self, x):\n        {forward}\n"
UNCALLED = "return self.out(nn.functional.linear(self.inp(x[:, 0]).mean(1), self.more.weight))"


def workload_of(more, forward):
    """The text of a workload of a network with a third layer and another forward."""
    text = WORKLOAD.replace("nn.Sequential(nn.Flatten(), nn.Linear(64, WIDTH), nn.ReLU(), ", "Net(")
    text = text.replace("nn.Linear(WIDTH, classes))", "classes)")
    return text + NET + MORE.format(more=more, forward=forward)


@pytest.mark.parametrize(
    ("more", "forward", "words"),
    [
        (
            "nn.Linear(5, 5)",
            "return self.out(self.inp(x[:, 0]).mean(1))",
            "mine.py: layer more has no gradient: it takes no part in the loss or is frozen; valid",
        ),
        (
            "nn.Linear(32, 32).requires_grad_(False)",
            "return self.out(self.more(self.inp(x[:, 0])).mean(1))",
            "mine.py: layer more has no gradient",
        ),
        (
            "None",
            "return self.out(self.inp(x.reshape(-1, 999)))",
            r"mine.py, line 27: RuntimeError: shape '[-1, 999]' is invalid for input",
        ),
        (
            "None",
            "h = self.out(self.inp(x[:, 0])); return h if self.training else h.mean(1)",
            "mine.py: the network gives (4, 8, 10) for 4 images in training; valid: a ",
        ),
        (
            "None",
            "h = self.out(self.inp(x[:, 0]).mean(1)); return [h, h] if self.training else h",
            "mine.py: the network gives list for 4 images in training; valid",
        ),
        (
            "nn.TransformerEncoderLayer(32, 2, 64, batch_first=True)",
            "return self.out(self.more(self.inp(x[:, 0])).mean(1))",
            "mine.py: layer more.self_attn.out_proj costs 0 MACs by the count",
        ),
        ("nn.Linear(32, 32)", UNCALLED, "mine.py: layer more costs 0 MACs by the count"),
    ],
)
def test_what_cannot_be_trained_or_counted_is_refused(tmp_path, capsys, more, forward, words):
    file = written(tmp_path / "mine.py", workload_of(more, forward))
    runs = tmp_path / "runs"
    assert main(["run", "static", "--workload", str(file), "--runs", str(runs)]) == 5
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert not list(runs.glob("*/manifest.json"))
    how = ["--density", "0.1", "--distribution", "erk"]
    assert main(["flops", "--workload", str(file), *how]) == 5
    assert words in capsys.readouterr().err


def test_a_sound_one_is_taken_and_no_random_state_moves(tmp_path):
    forward = "return self.more(self.out(self.inp(x[:, 0])).mean(1))"
    net = "nn.Sequential(nn.BatchNorm1d(10), nn.Dropout(0.5), nn.Linear(10, classes))"
    file = written(tmp_path / "mine.py", workload_of(net, forward))
    before = torch.get_rng_state()
    with torch.no_grad():  # of a caller in a notebook
        assert resolve_workload(str(file), tmp_path) == "mine"
    assert torch.equal(torch.get_rng_state(), before)


def test_an_edit_of_the_forward_is_seen(tmp_path):
    good = "return self.out(self.more(self.inp(x[:, 0])).mean(1))"
    file = written(tmp_path / "mine.py", workload_of("nn.Linear(32, 32)", good))
    resolve_workload(str(file), tmp_path)
    written(file, workload_of("nn.Linear(32, 32)", good.replace("self.more", "")))
    with pytest.raises(UsageError, match="layer more has no gradient"):
        resolve_workload(str(file), tmp_path)


GIVEN = "; build_model was given classes = 10 and image_shape = (1, 8, 8)"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (  # no line of the file runs when this network fails: that of build_model
            WORKLOAD.replace("Linear(64,", "Linear(65,"),
            "mine.py, line 10: RuntimeError: mat1 and mat2 shapes cannot be multiplied "
            "(1x64 and 65x16) (layer 1, Linear(in_features=65, out_features=16, bias=True))",
        ),
        (
            workload_of("nn.Linear(5, 5)", "return self.more(self.inp(x[:, 0]))"),
            "mine.py, line 27: RuntimeError: mat1 and mat2 shapes cannot be multiplied "
            "(8x32 and 5x5) (layer more, Linear(in_features=5, out_features=5, bias=True))",
        ),
        (
            workload_of("None", "return self.inp(self.gone)"),
            "mine.py, line 27: AttributeError: 'Net' object has no attribute 'gone'",
        ),
        (
            WORKLOAD.replace(", classes))", ", klasses))"),
            "mine.py, line 11: NameError: name 'klasses' is not defined",
        ),
    ],
)
def test_a_network_that_fails_is_blamed_by_line_and_layer(tmp_path, text, said):
    file = written(tmp_path / "mine.py", text)
    with pytest.raises(UsageError) as error:
        resolve_workload(str(file), None)
    assert str(error.value) == said + GIVEN
