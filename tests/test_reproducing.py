"""REPRODUCING.md's table of artifacts is what `resparse costs` prints; its recipe packs images."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from resparse import artifact, costs
from resparse.__main__ import main
from resparse.data import cifar_jpeg

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


def test_its_recipe_packs_a_clone_as_data_prepare_reads_it(tmp_path):
    """In the order of the committed records: the first image of each class, then the second."""
    (recipe,) = re.findall(r"```python\n(.*?)```", (ROOT / "REPRODUCING.md").read_text(), re.DOTALL)
    for split in ("train", "test"):
        for name in reversed(cifar_jpeg.CLASSES):
            folder = tmp_path / "CIFAR-10-images" / split / name
            folder.mkdir(parents=True)
            for number in (1, 0):
                (folder / f"{number:04}.jpg").write_bytes(f"{split} {name} {number}".encode())
    subprocess.run([sys.executable, "-c", recipe], cwd=tmp_path, check=True)
    for split in ("train", "test"):
        file = tmp_path / "DIR" / "cifar10-jpeg" / f"{split}.parquet"
        rows = list(cifar_jpeg._rows(file, cifar_jpeg.COLUMNS))
        assert rows == [
            {"image": f"{split} {name} {number}".encode(), "label": label, "path": path}
            for number in (0, 1)
            for label, name in enumerate(cifar_jpeg.CLASSES)
            for path in [f"{split}/{name}/{number:04}.jpg"]
        ]


@pytest.mark.long
@pytest.mark.fault
def test_reproducings_table_is_what_the_command_prints(capsys):
    assert main(["costs"]) == 0
    printed = capsys.readouterr().out.strip()
    assert printed in (ROOT / "REPRODUCING.md").read_text()
