"""The page as Markdown: what it says first, where everything is, and what was not run."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from resparse.claims.listing import Standing
from resparse.page import Block, Grid, Heading, Text, as_markdown
from resparse.report.model import Page
from resparse.report.pieces import View
from resparse.report.words import APART, alone_at_mini, at_mini, decided, lead
from resparse.tables.render import escape, summary


def index(page: Page) -> str:
    """reports/<paper>/index.md."""
    views = [(piece, view) for piece in page.pieces for view in piece.views]
    tables = [
        [
            f"{p.title}{f', {v.artifact.title}' * p.is_figure}",
            v.level,
            summary(v.report),
            _files(v),
            f"`{p.session(v.level)}`",
        ]
        for p, v in views
    ]
    lacks = [
        [x.table, x.level, f"{x.there} of {x.runs}", x.said, f"`{x.command}`"] for x in page.lacks
    ]
    made = [
        [e.records, ", ".join(f"{name} {text}" for name, text in e.facts)]
        for e in page.environments
    ]
    mini = page.claims_at_mini
    blocks: list[Block] = [
        Heading(escape(f"{page.about.paper}: reproduced"), 1),
        Text(escape(f"{page.about.authors}. {page.about.venue}.")),
        *(Text(escape(text)) for text in lead(page)),
        Text("[The page](index.html) opens offline; [all numbers](index.csv) as CSV."),
        Heading("Summary"),
        _grid(("verdict", "claims"), page.claims_by_verdict.items()),
        *([_grid((f"at mini, {APART}", "claims"), mini.items())] if mini else []),
        _grid(("verdict", "numbers"), page.cells_by_verdict.items()),
        Heading("Tables and figures"),
        _grid(("table", "level", "numbers by verdict", "files", "command"), tables, raw=(3, 4)),
        Heading("Claims"),
        _grid(("claim", "verdict", "at", "at mini", "statement", "why"), map(_claim, page.claims)),
        Heading("What was not run"),
        _grid(("table", "level", "runs there", "rows", "its cost"), lacks, raw=(4,)),
        *(
            Text(f"Of another protocol, in no number: {len(found)} records at {level}.")
            for level, found in page.unplanned.items()
        ),
        Heading("Errata of the paper"),
        *(Text(f"{name}: {escape(text)}") for name, text in page.about.errata.items()),
        Heading("Environment"),
        _grid(("records", "made by"), made),
    ]
    return as_markdown(blocks)


def _grid(head: Sequence[str], rows: Iterable[Sequence[object]], raw: Sequence[int] = ()) -> Grid:
    """A table of texts; columns ``raw`` are Markdown already."""
    safe = [
        [str(x) if n in raw else escape(str(x)).replace("\\|", "|") for n, x in enumerate(row)]
        for row in rows
    ]  # the block escapes bars
    return Grid(head, safe, len(head))


def _files(view: View) -> str:
    links = [f"[{Path(name).suffix[1:]}]({name})" for name in view.beside]
    return ", ".join([*links, f"[tex](latex/{view.name}.tex)"])


def _claim(standing: Standing) -> list[str]:
    entry = standing.claim.entry
    said = f"{entry.where}: {entry.statement}"
    level, why = decided(standing)
    erratum = f" ({entry.erratum})" if entry.erratum else ""
    mini = "; ".join(filter(None, [at_mini(standing), alone_at_mini(standing)]))
    return [entry.id, standing.shown, level, mini, said, f"{why}{erratum}"]
