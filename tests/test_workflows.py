"""What workflows may do: pinned actions, no rights, no forks on one's own machines."""

import re
from pathlib import Path

import pytest

from resparse.__main__ import parser

FOLDER = Path(__file__).resolve().parents[1] / ".github" / "workflows"
PINNED = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
GOOD = "permissions:\n  contents: read\n"


def problems(text: str) -> list[str]:
    """What is wrong with a workflow, a line each."""
    found = [
        f"not pinned: {line.strip()}"
        for line in text.splitlines()
        if "uses:" in line and not PINNED.search(line)
    ]
    found += ["rights: more than to read"] * (GOOD not in text or ": write" in text)
    found += ["pull_request_target runs a stranger's code"] * ("pull_request_target" in text)
    own = "self-hosted" in text
    unsafe = "github.event.repository.fork" not in text or "pull_request" in text
    found += ["self-hosted machines for forks"] * (own and unsafe)
    found += ["a secret"] * ("secrets." in text)
    return found


@pytest.mark.parametrize("name", ["checks.yml", "nightly.yml"])
def test_a_workflow_has_no_problem(name):
    assert problems((FOLDER / name).read_text()) == []


def test_no_other_workflow_goes_unchecked():
    assert sorted(path.name for path in FOLDER.iterdir()) == ["checks.yml", "nightly.yml"]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0", "@v5", "not pinned"),
        ("contents: read", "contents: write", "rights"),
        ("if: ${{ !github.event.repository.fork }}", "", "self-hosted"),
        ("workflow_dispatch:", "pull_request:", "self-hosted"),
        ("workflow_dispatch:", "pull_request_target:", "stranger"),
        ("docker build", "docker build --secret ${{ secrets.KEY }}", "a secret"),
    ],
)
def test_each_problem_is_found(old, new, why):
    text = (FOLDER / "nightly.yml").read_text()
    assert old in text
    assert any(why in problem for problem in problems(text.replace(old, new)))


def test_exact_columns_of_every_table_are_computed():
    text = (FOLDER / "checks.yml").read_text()
    tables = sorted(FOLDER.parents[1].glob("benchmarks/itop/table*.toml"))
    assert tables
    for table in tables:
        assert f"- {table.stem} -- --exact-only" in text


def test_what_is_asked_of_the_image_is_a_command():
    text = (FOLDER / "nightly.yml").read_text().replace("\\\n", "")
    asked = re.findall(r"resparse:nightly (.*?) 2>&1", text)
    kinds = re.findall(r'- \{ level: (\w+), more: "(.*)" \}', text)
    assert len(asked) == 1
    assert [level for level, _ in kinds] == ["smoke", "mini"]
    for level, more in kinds:
        line = asked[0].replace("${{ matrix.level }}", level).replace("${{ matrix.more }}", more)
        given = parser().parse_args(line.split())
        assert (given.command, given.level) == ("regression", level)
