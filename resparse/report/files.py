"""The page of a paper as files: HTML, Markdown, CSV, and LaTeX a table."""

from pathlib import Path

from resparse.files import require_writable, write_atomic
from resparse.report.badge import as_badge
from resparse.report.flat import as_csv
from resparse.report.html import as_html
from resparse.report.latex import as_latex
from resparse.report.markdown import index
from resparse.report.model import Page, build


def write(paper: str, out: Path) -> tuple[Page, list[Path]]:
    """Build the page from the records below ``out`` and write it there; the HTML comes first."""
    page, folder = build(paper, out), out / paper
    texts = {"index.html": as_html(page), "index.md": index(page), "index.csv": as_csv(page)}
    texts["badge.json"] = as_badge(page)
    for view in (view for piece in page.pieces for view in piece.views):
        texts[f"latex/{view.name}.tex"] = as_latex(view)
    require_writable(folder / "latex")
    for name, text in texts.items():
        write_atomic(folder / name, text)
    return page, [folder / name for name in texts]
