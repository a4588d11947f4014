"""The forms of the page: HTML that stands alone, Markdown, CSV, LaTeX; names are never markup."""

import base64
import csv
import hashlib
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from recorded import HOSTILE
from test_report import few, made, page, views

from resparse.claims.judge import ClaimVerdict
from resparse.report import latex, markdown
from resparse.report.flat import as_csv
from resparse.report.html import as_html
from resparse.tables.render import FIELDS

__all__ = ["few", "made", "page"]  # fixtures for this file as well


class Reader(HTMLParser):
    """Tags with their attributes, texts by tag, and what is left open."""

    VOID = ("meta", "img", "br")

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.texts, self.open = [], {}, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open += [tag] if tag not in self.VOID else []

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(text)

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def text(made):
    return as_html(made[1])


@pytest.fixture(scope="module")
def read(text):
    return Reader(text)


def test_every_tag_is_closed_and_every_id_is_one(read):
    assert read.open == []
    ids = [attributes["id"] for _, attributes in read.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [a["href"] for a in read.of("a") if not a["href"].startswith("#run=")]
    assert links
    assert {link.removeprefix("#") for link in links} <= set(ids)


def test_nothing_comes_from_elsewhere_and_no_other_script_may_run(text, read):
    names = {name for _, attributes in read.tags for name in attributes}
    assert not names & {"style", "srcset", "action", "onclick", "onload", "onerror"}
    sources = [a["src"] for _, a in read.tags if "src" in a]
    assert [s[:26] for s in sources] == ["data:image/svg+xml;base64,"]
    assert all(a["href"].startswith("#") for _, a in read.tags if "href" in a)
    assert read.of("link") == read.of("iframe") == read.of("object") == []
    kinds = [a.get("type") for a in read.of("script")]
    assert kinds == ["application/json", None]
    policy = next(a["content"] for a in read.of("meta") if "http-equiv" in a)
    for tag, body in (
        ("script-src", read.texts["script"][1]),
        ("style-src", read.texts["style"][0]),
    ):
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{tag} 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "@import" not in text
    assert "url(" not in text


def test_the_same_records_are_the_same_bytes(made, text):
    assert as_html(made[1]) == text


def test_hostile_names_are_text(text, read):
    """A reason, a device, a picture: the words are there, and no tag was made of them."""
    assert "<script>window" not in text
    assert len(read.of("script")) == 2
    assert "&lt;script&gt;window.bad = 1&lt;/script&gt;" in text
    shown = json.loads(read.texts["script"][0])
    (record,) = [r for r in shown["records"].values() if r["status"] == "diverged" and r["curves"]
                 and r["reason"] == HOSTILE]  # fmt: skip
    assert record["config"]["seed"] == 1
    devices = {e["device"] for e in shown["environments"]}
    assert devices == {"cpu", HOSTILE}


def test_a_hostile_row_is_text_in_every_form(page):
    piece = page.pieces[0]
    view = piece.views[0]
    entries = tuple(replace(e, row=HOSTILE) for e in view.entries[:6])
    view = replace(view, entries=entries)
    whole = replace(page, pieces=(replace(piece, views=(view,), title=HOSTILE),))
    assert "<script>window" not in as_html(whole)
    assert Reader(as_html(whole)).open == []
    assert "<script" not in markdown.index(whole)
    assert "\\textless{}script\\textgreater{}" in latex.as_latex(view)
    width, (_, *rows) = columns_of(latex.as_latex(view))
    assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {width}
    assert "\\\\|" not in markdown.index(whole)


def test_what_a_number_opens_to_is_all_there(page, read):
    shown = json.loads(read.texts["script"][0])
    buttons = [a["data-open"] for a in read.of("button") if "data-open" in a]
    entries = [e for view in views(page).values() for e in view.entries]
    assert len(entries) == len(set(buttons)) - 68
    for entry in entries:
        assert f"cell={entry.id}" in buttons
        cell = shown["cells"][entry.id]
        assert cell["command"] == entry.command
        assert {int(k): v for k, v in cell.get("keys", {}).items()} == entry.cell.keys
        for key in entry.cell.keys.values():
            record = page.records[key]
            found = shown["records"][key]
            same = ("config", "outcome", "curves", "status", "reason", "fingerprint")
            assert all(found[name] == getattr(record, name) for name in same)
            facts = shown["environments"][found["environment"]]
            whole = found["made"] | {k: v for k, v in facts.items() if k in record.provenance}
            assert {k: str(v) for k, v in whole.items()} == {
                k: str(v) for k, v in record.provenance.items()
            }
    assert set(shown["claims"]) == {s.claim.id for s in page.claims}


def test_the_csv_has_every_number_once_with_its_command(page):
    lines = list(csv.DictReader(io.StringIO(as_csv(page))))
    assert list(lines[0]) == ["artifact", "level", *FIELDS, "command"]
    entries = [(v, e) for v in views(page).values() for e in v.entries]
    assert len(lines) == len(entries)
    for line, (view, entry) in zip(lines, entries, strict=True):
        assert (line["artifact"], line["level"]) == (view.artifact.id, view.level)
        assert (line["row"], line["metric"], line["command"]) == (
            entry.row, entry.metric, entry.command,
        )  # fmt: skip
        assert line["ours"] == ("" if entry.cell.value is None else str(entry.cell.value))


def test_the_markdown_says_the_summary_and_links_what_is_there(made, page):
    text = markdown.index(page)
    for verdict, count in page.cells_by_verdict.items():
        assert f"| {verdict} | {count} |" in text
    assert "`nox -s table1 -- --level paper --plan`" in text
    assert "Of another protocol, in no number: 1 records at smoke." in text
    links = re.findall(r"\]\(([^)]+)\)", text)
    there = {
        "index.html",
        "index.csv",
        *(f"latex/{view.name}.tex" for view in views(page).values()),
    }
    assert set(links) == there
    widths = [len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if line[:1] == "|"]
    assert set(widths) <= {3, 4, 6, 7}  # two, three, five and six columns


def test_a_claims_verdict_at_mini_stands_apart_from_the_papers(page):
    """Where mini has no number for a claim there is none; where it has, both forms say it."""
    assert 0 < sum(page.claims_at_mini.values()) < len(page.claims)
    standing = next(s for s in page.claims if s.mini.cells)
    judged = replace(standing, mini=replace(standing.mini, verdict=ClaimVerdict.UNRESOLVED))
    whole = replace(page, claims=(judged,))
    assert whole.claims_at_mini == {"UNRESOLVED": 1}
    assert whole.claims_by_verdict == {"NOT RUN": 1}
    head, row = Reader(as_html(whole)), markdown.index(whole)
    assert "at mini (not the paper's column)" in head.texts["button"]
    assert head.texts["span"].count("UNRESOLVED") == 2  # among the claims, and in the summary
    assert f"| {judged.claim.id} | NOT RUN | – | UNRESOLVED |" in row
    assert "| at mini, not the paper's column | claims |" in row


def test_what_one_model_says_at_mini_of_a_claim_over_several_is_no_verdict_on_it(page):
    standing = next(s for s in page.claims if s.mini.cells)
    alone = replace(standing.mini, verdict=ClaimVerdict.NOT_RUN, alone=(("mlp", "CONFIRMED"),))
    whole = replace(page, claims=(replace(standing, mini=alone),))
    assert whole.claims_at_mini == {"NOT RUN": 1}
    head, row = Reader(as_html(whole)), markdown.index(whole)
    assert "mlp alone: CONFIRMED" in head.texts["span"]
    assert "CONFIRMED" not in head.texts["span"]
    assert f"| {standing.claim.id} | NOT RUN | – | NOT RUN; mlp alone: CONFIRMED |" in row


def columns_of(tabular):
    kinds = re.search(r"\\begin\{tabular\}\{([lr]+)\}", tabular)[1]
    rows = [line for line in tabular.splitlines() if line.endswith(r"\\")]
    return len(kinds), rows


def test_latex_rows_have_as_many_columns_as_are_declared(page):
    for view in views(page).values():
        text = latex.as_latex(view)
        width, (spans, *rows) = columns_of(text)
        assert sum(map(int, re.findall(r"multicolumn\{(\d)\}", spans))) + 2 == width
        assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {width}
        places = {(e.row, e.sparsity) for e in view.entries}
        assert len(rows) == 1 + len(places)
        for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\end{tabular}"):
            assert text.count(rule) == 1
    table1 = latex.as_latex(views(page)["table1", "smoke"])
    ours = r"P 0.9 interval 3000 & 0.95 & 0.4255 & 0.353 & {\scriptsize EXACT, not as printed}"
    assert f"{ours} & 61.00 $\\pm$ 1.00, n 3 & 93.78 $\\pm$ 0.09" in table1


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no LaTeX here: pdflatex compiles them")
def test_a_paper_that_inputs_the_tables_compiles(page, tmp_path):
    names = []
    for n, view in enumerate(views(page).values()):
        hostile = replace(
            view, entries=tuple(replace(e, row=f"{e.row} {HOSTILE} é") for e in view.entries)
        )
        (tmp_path / f"t{n}.tex").write_text(latex.as_latex(hostile))
        names.append(rf"\resizebox{{\textwidth}}{{!}}{{\input{{t{n}}}}}")
    body = "\n\n".join(names)
    (tmp_path / "paper.tex").write_text(
        "\\documentclass{article}\\usepackage{booktabs,graphicx}\\begin{document}\n"
        f"{body}\n\\end{{document}}\n"
    )
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "paper.tex"]
    done = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "paper.pdf").stat().st_size > 5000
