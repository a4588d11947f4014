"""Datasets prepared from a person's own script, which has no __main__ guard."""

import subprocess
import sys

import pytest
from small_data import jpeg, write_files

SCRIPT = """
import sys
from pathlib import Path
from resparse.data import imagenet_folders
print("the script runs", flush=True)
counts = {"train": (3, 3), "val": (2, 2)}
expected = imagenet_folders.Expected(2, counts, {"train": 6, "val": 4})
root, folder = map(Path, sys.argv[1:])
print(imagenet_folders.prepare(root, folder, workers=1, expected=expected)["did"])
"""


@pytest.mark.fault
@pytest.mark.long
def test_a_script_without_a_guard_runs_once(tmp_path):
    """The processes that decode would otherwise run it again, and start processes themselves."""
    names = [f"train/n0000000{c}/n0000000{c}_{n}.JPEG" for c in (1, 2) for n in range(3)]
    names += [f"val/n0000000{c}/val_{c}{n}.JPEG" for c in (1, 2) for n in range(2)]
    write_files(tmp_path / "imagenet", {name: jpeg(n) for n, name in enumerate(names)})
    script = tmp_path / "mine.py"
    script.write_text(SCRIPT)
    command = [sys.executable, script, tmp_path / "imagenet", tmp_path / "prepared" / "imagenet"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (ran.stdout, ran.stderr) == ("the script runs\nprepared\n", "")
    assert ran.returncode == 0
