"""Documents name files and sessions that are there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
FILE = re.compile(r"`([\w./-]+/[\w.-]*|[\w./-]+\.(?:py|md|toml|json|cff))`")
LINK = re.compile(r"\]\(([^)#]+)\)")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_a_document_names_is_there(name):
    text = (ROOT / name).read_text()
    named = {*FILE.findall(text), *LINK.findall(text)} - {"SOURCE.toml"}  # beside a CSV
    absent = [path for path in named if "<" not in path and not (ROOT / path).exists()]
    assert absent == []


def test_sessions_that_contributors_run_are_there():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    asked = set(re.findall(r"nox -s (\w+)", text))
    assert {"lint", "tests", "regression"} <= asked
    listed = subprocess.run(
        [sys.executable, "-m", "nox", "--list"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for session in asked:
        assert re.search(rf"^[*-] {session}\b", listed, re.MULTILINE), session
