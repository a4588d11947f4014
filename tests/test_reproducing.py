"""REPRODUCING.md's table of artifacts is what `resparse costs` prints."""

import re
from pathlib import Path

import pytest

from resparse import artifact, costs
from resparse.__main__ import main

ROOT = Path(__file__).resolve().parents[1]


def in_reproducing():
    """The rows of the table in REPRODUCING.md by their command."""
    text = (ROOT / "REPRODUCING.md").read_text()
    head = f"| {' | '.join(costs.HEAD)} |"
    assert text.count(head) == 1
    lines = text[text.index(head) :].split("\n\n")[0].splitlines()
    rows = [re.split(r" ?(?<!\\)\| ?", line)[1:-1] for line in lines[2:]]
    return {row[1]: row for row in rows}


def test_every_artifact_is_in_reproducing():
    rows = in_reproducing()
    asked = {f"`nox -s {name.rpartition('/')[2]}`" for name in artifact.of_paper("itop")}
    assert rows.keys() - {""} == asked
    some = costs.costs("itop", ROOT / "reports", ["itop/table1", "itop/controls_mlp"])
    for row in costs.rows(some, costs.SPEED)[:-1]:
        assert rows[row[1]] == row


@pytest.mark.long
@pytest.mark.fault
def test_reproducings_table_is_what_the_command_prints(capsys):
    assert main(["costs"]) == 0
    printed = capsys.readouterr().out.strip()
    assert printed in (ROOT / "REPRODUCING.md").read_text()
