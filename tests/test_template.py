"""What the README and the template show is what works: both are taken from the text as they are."""

import re
from pathlib import Path

import pytest

from resparse.__main__ import main
from resparse.contract_process import check_apart
from resparse.files import sha256

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
