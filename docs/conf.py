"""The site: the repository's own documents, reports, and pages of the package's docstrings.

Built from the root of the checkout by ``nox -s docs``, so that every link between documents is the
one that a reader of the repository follows.
"""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

project, version = PROJECT["name"], PROJECT["version"]
author = "resparse authors"
project_copyright = "2026, resparse authors"
extensions = ["myst_parser", "sphinx.ext.autodoc"]
root_doc = "README"
include_patterns = [
    *("README.md", "REPRODUCING.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"),
    *("docs/**.md", "methods/TEMPLATE.md", "reports/*/*.md", "reports/*/panels/*.md"),
]
html_theme = "furo"
html_title = f"{project} {version}"
html_extra_path = ["site"]  # index.html, which leads to README.html
html_show_sphinx = False
html_copy_source = False
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True}
python_maximum_signature_line_length = 88

DOCUMENTS = ("REPRODUCING", "CONTRIBUTING", "methods/TEMPLATE", "CHANGELOG", "SECURITY")
INTERFACE = tuple(f"docs/api/{n}" for n in ("python", "contract", "methods", "judging", "records"))
REPORTS = ("reports/itop/index", "reports/compare/*")


def contents(caption: str, *pages: str) -> str:
    """A list of pages for the margin."""
    listed = "\n".join(f"/{page}" for page in pages)
    return f"\n```{{toctree}}\n:hidden:\n:glob:\n:caption: {caption}\n\n{listed}\n```\n"


def read_source(app: object, name: str, source: list[str]) -> None:
    """Append what a page of the site needs and a document of the repository does not."""
    if name == root_doc:
        source[0] += contents("Documents", *DOCUMENTS)
        source[0] += contents("Interface", *INTERFACE) + contents("Reports", *REPORTS)
    if name.startswith("reports/") and name.endswith("/index"):
        folder = name.rpartition("/")[0]
        source[0] += contents("Tables and figures", f"{folder}/*", f"{folder}/panels/*")
    if name == "docs/api/methods":
        files = sorted((ROOT / "methods").glob("*.py"))
        source[0] += "".join(_methods(file.stem) for file in files)


def _methods(name: str) -> str:
    return f"\n## {name}\n\n```{{eval-rst}}\n.. automodule:: resparse.methods.{name}\n```\n"


def magnitudes(app, what, name, obj, options, lines: list[str]) -> None:
    """Escape the bars of |score|, which reStructuredText takes for its own; doctests have none."""
    lines[:] = [re.sub(r"\|([^|]+)\|", r"\\|\1\\|", line) for line in lines]


def setup(app) -> None:
    """What Sphinx calls."""
    app.connect("source-read", read_source)
    app.connect("autodoc-process-docstring", magnitudes)
