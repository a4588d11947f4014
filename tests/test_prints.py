"""What code from outside prints goes to stderr: stdout is the command's own, whole JSON."""

import json

import pytest
from checkout import python
from comparing import MINE, PANEL, small
from test_resolve import WORKLOAD, forget, written

from resparse import plan
from resparse.__main__ import main
from resparse.resolve import resolve_workload
from resparse.workloads import workload

__all__ = ["forget"]  # a fixture for this file as well

LOUD = MINE.replace("@dataclass", "print('NOISE')\n\n\n@dataclass")
LOUD = LOUD.replace("        return is_due(", "        print('NOISE')\n        return is_due(")
LOUD = LOUD.replace(
    "        return {\n", "        import os\n        os.write(1, b'NOISE')\n        return {\n"
)

LOUD_WORKLOAD = WORKLOAD.replace("    return ", "    print('NOISE')\n    return ")
LOUD_WORKLOAD = LOUD_WORKLOAD.replace("nn.Sequential(", "nn.Sequential(Loud(), ")
LOUD_WORKLOAD += """
print('NOISE')
class Loud(nn.Module):
    def forward(self, x):
        print('NOISE')
        return x
"""


def said(folder, *arguments):
    """(exit code, stdout, stderr) of a command with the code in ``folder``."""
    process = python(folder, "-m", "resparse", *arguments)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    folder = small(tmp_path_factory.mktemp("checkout"))
    text = (folder / PANEL).read_text()
    for lengths in ("[0.0625, 0.1, 1]", "[0.05, 0.1, 1]"):
        assert text.count(lengths) == 1
        text = text.replace(lengths, "[1]")
    written(folder / PANEL, text)
    code = (folder / "resparse/workloads.py").read_text()
    assert code.count("epochs=50, lr=0.1, lr_shape") == 1  # of SMOKE
    written(
        folder / "resparse/workloads.py",
        code.replace("epochs=50, lr=0.1, lr_shape", "epochs=2, lr=0.1, lr_shape"),
    )
    return folder


@pytest.mark.fault
@pytest.mark.long
def test_a_method_that_prints_leaves_the_json_of_compare_whole(checkout):
    mine = written(checkout / "loud.py", LOUD)
    code, out, err = said(checkout, "compare", str(mine), "--json")
    assert (code, err.count("NOISE") > 100) == (0, True), err
    assert "overall" in json.loads(out)


@pytest.mark.fault
@pytest.mark.long
def test_a_method_and_a_workload_that_print_leave_the_json_of_run_whole(checkout):
    mine = written(checkout / "loud.py", LOUD)
    file = written(checkout / "my_digits.py", LOUD_WORKLOAD)
    more = ("--set", "interval=5", "--workload", str(file), "--json")
    code, out, err = said(checkout, "run", str(mine), *more)
    assert (code, err.count("NOISE") > 28) == (0, True), err
    (record,) = json.loads(out)
    assert record["outcome"]["updates"] == 5


def test_a_workload_that_prints_leaves_the_json_of_flops_whole(tmp_path, capfd):
    file = written(tmp_path / "my_digits.py", LOUD_WORKLOAD)
    line = ["flops", "--workload", str(file), "--density", "0.1", "--distribution", "erk"]
    assert main([*line, "--json"]) == 0
    counted = capfd.readouterr()
    assert json.loads(counted.out)["maskable"] == 64 * 16 + 16 * 10
    assert "NOISE" in counted.err


def test_the_memory_of_a_network_that_prints_is_counted_in_silence(tmp_path, capsys):
    file = written(tmp_path / "my_digits.py", LOUD_WORKLOAD)
    problem = workload(resolve_workload(str(file), None))
    assert plan.activation_bytes(problem) > 0
    assert capsys.readouterr().out == ""
