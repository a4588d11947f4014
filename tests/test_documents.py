"""Documents name files and sessions that are there."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from resparse import registry

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


@pytest.fixture(scope="module")
def site():
    """docs/conf.py as Sphinx reads it."""
    spec = importlib.util.spec_from_file_location("site_conf", ROOT / "docs" / "conf.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_site_has_every_document_and_every_page_of_the_interface(site):
    documents = {path.stem for path in ROOT.glob("*.md")} - {site.root_doc}
    assert documents | {"methods/TEMPLATE"} == set(site.DOCUMENTS)
    pages = {f"docs/api/{path.stem}" for path in (ROOT / "docs" / "api").glob("*.md")}
    assert pages == set(site.INTERFACE)
    front = [""]
    site.read_source(None, site.root_doc, front)
    for page in (*site.DOCUMENTS, *site.INTERFACE):
        assert f"\n/{page}\n" in front[0]


def test_the_site_has_every_method_without_being_told(site):
    source = [""]
    site.read_source(None, "docs/api/methods", source)
    for name in registry.names():
        assert f".. automodule:: resparse.methods.{name}\n" in source[0]


def test_bars_of_magnitudes_are_no_substitutions(site):
    lines = ["by |score| and |w dL/dw|, a | b", "plain"]
    site.magnitudes(None, "", "", None, None, lines)
    assert lines == [r"by \|score\| and \|w dL/dw\|, a | b", "plain"]
