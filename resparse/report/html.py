"""The page as one HTML file: style, script, pictures and records inside, nothing from elsewhere."""

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from resparse.claims.listing import Standing
from resparse.report.details import details, metric_title
from resparse.report.model import Page
from resparse.report.pieces import Entry, Piece, View
from resparse.report.words import APART, alone_at_mini, at_mini, by_place, columns, decided, lead
from resparse.tables.render import counted, footnotes, number, paper, summary
from resparse.tables.section import Section

HERE = Path(__file__).resolve().parent
KINDS = {
    "good": ("EXACT", "IDENTICAL", "REPRODUCED", "CONFIRMED", "CONSISTENT"),
    "bad": ("FAILED", "MISMATCH", "DEVIATES", "CONTRADICTED"),
    "quiet": ("NOT RUN", "NO REFERENCE", "NOT COMPARABLE"),
}  # what a verdict begins with; the others are warnings


def as_html(page: Page) -> str:
    """The whole file; the same bytes for the same records and code."""
    style, script = ((HERE / name).read_text() for name in ("page.css", "page.js"))
    only = f"script-src {_hash(script)}; style-src {_hash(style)}; img-src data:"
    title = f"{page.about.paper}: reproduced"
    sections = [
        ("summary", "Summary", _summary(page)),
        ("claims", "Claims", _claims(page.claims)),
        *((piece.name, piece.title, _piece(piece)) for piece in page.pieces),
        ("not-run", "What was not run", _not_run(page)),
        ("errata", "Errata of the paper", _errata(page)),
        ("environment", "Environment", _environment(page)),
    ]
    nav = "".join(f'<a href="#{name}">{escape(_short(name))}</a>' for name, *_ in sections)
    body = "\n".join(
        f'<section id="{name}">\n<h2>{escape(heading)}</h2>\n{text}\n</section>'
        for name, heading, text in sections
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; {escape(only)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>{escape(title)}</h1>
<p class="soft">{escape(page.about.authors)}. {escape(page.about.venue)}.</p>
{"".join(f"<p>{escape(text)}</p>" for text in lead(page))}
<noscript><p class="loud">Without scripts the numbers are here, and what made them is not.</p>
</noscript>
<nav>{nav}</nav>
</header>
<main>
{body}
</main>
<dialog><button id="close" aria-label="close">×</button><div id="inside"></div>
</dialog>
<script type="application/json" id="details">{details(page)}</script>
<script>{script}</script>
</body>
</html>
"""


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _short(name: str) -> str:
    """A section's name for the line of links: table1 is Table 1."""
    words = re.sub(r"(\d+)$", r" \1", name)
    return words.replace("_", " ").replace("-", " ").capitalize()


def _verdict(text: str) -> str:
    kind = next((k for k, starts in KINDS.items() if text.startswith(starts)), "warn")
    return f'<span class="v {kind}">{escape(text)}</span>'


def _table(head: Sequence[str], rows: Iterable[str], *, sortable: bool = True) -> str:
    cells = (f"<button>{escape(x)}</button>" if sortable else escape(x) for x in head)
    state = ' aria-sort="none"' if sortable else ""
    heads = "".join(f'<th scope="col"{state}>{cell}</th>' for cell in cells)
    lines = "\n".join(f"<tr>{row}</tr>" for row in rows)
    return (
        f'<div class="wide" tabindex="0"><table><thead><tr>{heads}</tr></thead>\n'
        f"<tbody>\n{lines}\n</tbody></table></div>"
    )


def _row(first: str, *others: object) -> str:
    tds = "".join(f"<td{' class=long' * (len(str(x)) > 32)}>{escape(str(x))}</td>" for x in others)
    return f'<th scope="row">{escape(first)}</th>{tds}'


def _facts(values: Iterable[tuple[str, str]]) -> str:
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in values)
    return f"<dl>{rows}</dl>"


def _list(texts: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ul>"


def _counts(counts: dict[str, int]) -> Iterable[str]:
    for verdict, count in counts.items():
        yield f'<th scope="row">{_verdict(verdict)}</th><td data-v="{count}">{count}</td>'


def _summary(page: Page) -> str:
    missing = sum(lack.runs - lack.there for lack in page.lacks)
    rows = [
        f'<th scope="row"><a href="#{piece.name}">{escape(view.name)}</a></th>'
        f"<td>{escape(view.level)}</td><td>{escape(summary(view.report))}</td>"
        for piece in page.pieces
        for view in piece.views
    ]
    return "\n".join(
        [
            f'<div class="pair"><div><h3>{len(page.claims)} claims by verdict</h3>',
            _table(("verdict", "claims"), _counts(page.claims_by_verdict)),
            f"<p>At mini, {APART}:</p>" if page.claims_at_mini else "",
            _table(("verdict", "claims"), _counts(page.claims_at_mini))
            if page.claims_at_mini
            else "",
            "</div><div><h3>Numbers by verdict</h3>",
            _table(("verdict", "numbers"), _counts(page.cells_by_verdict)),
            "</div></div>",
            f'<p><a href="#not-run">What was not run</a>: {missing:,} runs over '
            f"{len(page.lacks)} tables and levels.</p>",
            "<h3>By table and level</h3>",
            _table(("table", "level", "numbers by verdict"), rows),
        ]
    )


def _at_mini(standing: Standing) -> str:
    alone = alone_at_mini(standing)
    said = f'<br><span class="soft">{escape(alone)}</span>' if alone else ""
    return f"{_verdict(at_mini(standing))}{said}"


def _claims(claims: Sequence[Standing]) -> str:
    rows = []
    for s in claims:
        entry = s.claim.entry
        rows.append(
            f'<th scope="row" class="claim"><button class="open" data-open="claim='
            f'{escape(entry.id)}">{escape(entry.id)}</button><br>{escape(entry.statement)}</th>'
            f"<td>{_verdict(s.shown)}</td><td>{decided(s)[0]}</td><td>{_at_mini(s)}</td>"
            f"<td>{escape(entry.where)}</td><td>{escape(entry.erratum or '')}</td>"
        )
    head = ("claim", "verdict", "decided at", f"at mini ({APART})", "where", "erratum")
    return _table(head, rows)


def _piece(piece: Piece) -> str:
    pictures = "".join(
        f'<figure><img alt="{escape(piece.title)}, level {level}" '
        f'src="data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"></figure>'
        for level, svg in piece.pictures.items()
    )
    parts = [
        f"<p>{escape(piece.says[:1].upper() + piece.says[1:])}.</p>" if piece.says else "",
        pictures,
    ]
    if not any(table.cells for table in piece.tables):
        parts.append('<p class="soft">The paper prints no number of it: none has a reference.</p>')
    if piece.is_figure and not piece.pictures:
        parts.append(f"<p>Not drawn: <code>{escape(piece.session('smoke'))}</code> draws it.</p>")
    parts += [_view(piece, view) for view in piece.views]
    if not piece.views:
        parts.append('<p>No records: see <a href="#not-run">what was not run</a>.</p>')
    return "\n".join(parts)


def _view(piece: Piece, view: View) -> str:
    where = "" if len(piece.tables) == 1 else f"{view.artifact.title}, "
    title = f"{where}{'computed alone' if view.level == 'exact' else f'level {view.level}'}"
    about = _facts(view.report.header.items())
    more = "".join(_section(part) for part in view.report.sections)
    return (
        f"<details{'' if piece.is_figure else ' open'}><summary>{escape(title)}: "
        f"{escape(view.report.header['what it shows'])}</summary>\n{_grid(view)}\n"
        f"<details><summary>How it was made, and notes</summary>{about}"
        f"{_list(footnotes(view.report))}</details>{more}</details>"
    )


def _section(part: Section) -> str:
    rows = [_row(*row) for row in part.rows]
    return (
        f"<details><summary>{escape(part.title)}</summary>"
        f"{_table(part.head, rows)}{_list(part.notes)}</details>"
    )


def _grid(view: View) -> str:
    metrics = columns(view)
    head = [
        metric_title(m) + ("" if printed else " (not printed)") for m, printed in metrics.items()
    ]
    rows = (
        f'<th scope="row">{escape(row)}</th><td>{sparsity}</td>'
        + "".join(_cell(found[m], p) if m in found else "<td></td>" for m, p in metrics.items())
        for (row, sparsity), found in by_place(view).items()
    )
    return _table(("row", "sparsity", *head), rows)


def _cell(entry: Entry, printed: bool) -> str:
    """Ours, the paper's, the verdicts; that the paper prints nothing is said above the column."""
    cell = entry.cell
    said = [f"<small>{escape(paper(cell))}</small>"] if printed else []
    if printed or cell.verdict != "NO REFERENCE":
        said.append(_verdict(counted(cell)))
    if cell.frozen_verdict:
        said.append(f"<small>frozen: {_verdict(cell.frozen_verdict)}</small>")
    if cell.erratum:
        said.append(f"<small>{escape(cell.erratum)}</small>")
    value = "" if cell.value is None else repr(cell.value)
    return (
        f'<td class="num" data-v="{value}"><button class="open" data-open="cell={entry.id}">'
        f"{escape(number(cell, entry.metric))}</button> {' '.join(said)}</td>"
    )


def _not_run(page: Page) -> str:
    rows = [
        f'<th scope="row">{escape(x.table)}</th><td>{escape(x.level)}</td><td data-v="{x.there}">'
        f'{x.there} of {x.runs}</td><td class="long">{escape(x.said)}</td>'
        f"<td><code>{escape(x.command)}</code></td>"
        for x in page.lacks
    ]
    parts = [_table(("table", "level", "runs there", "rows", "its cost"), rows)]
    for level, records in page.unplanned.items():
        keys = "".join(
            f'<li><a href="#run={r.key}">{r.key}</a>: {escape(r.config["method"])}, '
            f"{escape(r.config['dataset'])}, seed {r.config['seed']}</li>"
            for r in records
        )
        parts.append(
            f"<details><summary>{len(records)} records at {escape(level)} are of a protocol that "
            f"no table has today, and are in no number</summary><ul>{keys}</ul></details>"
        )
    return "\n".join(parts)


def _errata(page: Page) -> str:
    return _facts(page.about.errata.items())


def _environment(page: Page) -> str:
    if not page.environments:
        return "<p>No records.</p>"
    head = [name for name, _ in page.environments[0].facts]
    rows = [_row(str(e.records), *(text for _, text in e.facts)) for e in page.environments]
    return _table(("records", *head), rows)
