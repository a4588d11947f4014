"""What the README says is so: its commands, its method, its numbers."""

import csv
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from resparse import artifact, plan
from resparse.__main__ import main
from resparse.asked import Options
from resparse.workloads import workload

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def block(language):
    """The one fenced block of a language."""
    found = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert len(found) == 1
    return found[0]


def test_it_fits_the_promised_length():
    assert len(README.splitlines()) < 120


def test_every_path_it_names_exists():
    paths = set(re.findall(r"\]\(([^)]+)\)", README))
    paths |= set(re.findall(r"`([\w/]+/(?:[\w.]+)?)`", README))
    assert len(paths) > 5
    for path in paths:
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize(
    ("named", "tables"),
    [
        ("ITOP Table 2", ["table2"]),
        (
            "ITOP Tables [1](reports/itop/table1.md), [5](reports/itop/table5.md)",
            ["table1", "table5"],
        ),
    ],
)
def test_the_verdict_counts_are_those_of_the_committed_reports(named, tables):
    rows = []
    for table in tables:
        with (ROOT / "reports" / "itop" / f"{table}.csv").open() as file:
            rows += list(csv.DictReader(file))
    other = {True: ", not as printed", False: ""}
    counts = Counter(
        row["verdict"] + other[row["verdict"] == "EXACT" and bool(row["erratum"])] for row in rows
    )
    counts.update(f"{row['frozen_verdict']} (frozen)" for row in rows if row["frozen_verdict"])
    said = "; ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    assert f"| {named} | smoke | {said} |" in README


def test_the_cost_of_the_paper_level_is_what_the_plan_says():
    table = artifact.load("itop/table2")
    level = table.level("paper")
    printed = list(dict.fromkeys(label for label, _, _ in table.cells))
    planned = artifact.plan(table, "paper", "unread", seeds=level.seeds, only=printed)
    options = Options(name=table.id, level="paper", speed=60.0)
    text = plan.text(table, options, planned, workload(level.workload))
    total, hours = re.findall(r"together (\S+) FLOPs, (\S+) GPU-hours", text)[0]
    assert f"51 runs of {total} FLOPs together: {float(hours):.0f} GPU-hours" in README.replace(
        "\n", " "
    )
    for number in ("51 runs", "150 GB", "disk: 7."):
        assert number in text


def test_its_method_trains(tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text(block("python"))
    command = ["run", str(file), "--density", "0.1", "--set", "interval=25", "--length", "0.2"]
    assert main([*command, "--workload", "digits_mlp", "--runs", str(tmp_path / "runs")]) == 0
    (record,) = (tmp_path / "runs").glob("*/record.json")
    assert json.loads(record.read_text())["outcome"]["updates"] == 5  # in 140 steps
    assert "mine on mlp_small/digits" in capsys.readouterr().out
