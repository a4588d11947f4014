"""A report page as blocks, and the blocks as Markdown or as one HTML file that stands alone."""

import html
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Heading:
    """A heading of level 1 or 2."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Text:
    """A paragraph; a ``loud`` one stands out."""

    text: str
    loud: bool = False


@dataclass(frozen=True)
class Grid:
    """A table: the first ``left`` columns are words, the others numbers."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1


@dataclass(frozen=True)
class Picture:
    """A figure, SVG, in a file beside the Markdown and inside the HTML."""

    file: str
    svg: str
    caption: str


LOUD = ' class="loud"'
LONG = 32  # characters of a sentence in a table: it breaks into lines where a number does not
Block = Heading | Text | Grid | Picture

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; max-width: 84rem; margin: 2rem auto;
  padding: 0 1.5rem; }
h1 { font-size: 1.6rem; line-height: 1.25; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
.loud { border-left: .3rem solid #b45309; background: #fff7ed; padding: .6rem 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .82rem; font-variant-numeric: tabular-nums; }
th, td { padding: .28rem .55rem; text-align: right; white-space: nowrap; }
th { border-bottom: 2px solid #444; } td { border-bottom: 1px solid #ddd; }
.word, td.long { text-align: left; } td.long { white-space: normal; min-width: 14rem; }
figure { margin: 1.5rem 0; } figure svg { max-width: 100%; height: auto; }
figcaption { font-size: .9rem; color: #444; }
code { background: #f3f4f6; padding: .1rem .25rem; }
"""


def as_markdown(blocks: Sequence[Block]) -> str:
    """GitHub's Markdown."""
    return "\n\n".join(_markdown(block) for block in blocks) + "\n"


def _markdown(block: Block) -> str:
    if isinstance(block, Heading):
        return f"{'#' * block.level} {block.text}"
    if isinstance(block, Text):
        return f"> **{block.text}**" if block.loud else block.text
    if isinstance(block, Picture):
        return f"![{block.caption}]({block.file})"
    marks = [":--" if i < block.left else "--:" for i in range(len(block.head))]
    lines = [block.head, marks, *([cell.replace("|", "\\|") for cell in r] for r in block.rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def as_html(title: str, blocks: Sequence[Block]) -> str:
    """One file: style and figures inside."""
    body = "\n".join(_html(block) for block in blocks)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n"
        "</body>\n</html>\n"
    )


def _html(block: Block) -> str:
    if isinstance(block, Heading):
        return f"<h{block.level}>{_inline(block.text)}</h{block.level}>"
    if isinstance(block, Text):
        return f"<p{LOUD if block.loud else ''}>{_inline(block.text)}</p>"
    if isinstance(block, Picture):
        svg = block.svg[block.svg.index("<svg") :]
        return f"<figure>\n{svg}\n<figcaption>{_inline(block.caption)}</figcaption>\n</figure>"
    head = _row("th", block.head, block.left) if any(block.head) else ""
    rows = "\n".join(_row("td", row, block.left) for row in block.rows)
    return f'<div class="wide"><table>\n{head}\n{rows}\n</table></div>'


def _row(tag: str, cells: Sequence[str], left: int) -> str:
    made = (f"<{tag}{_kind(c, i < left)}>{_inline(c)}</{tag}>" for i, c in enumerate(cells))
    return f"<tr>{''.join(made)}</tr>"


def _kind(cell: str, word: bool) -> str:
    names = ["word"] * word + ["long"] * (len(cell) > LONG)
    return f' class="{" ".join(names)}"' if names else ""


def _inline(text: str) -> str:
    """Escaped text; `code` and **strong** as in Markdown."""
    parts = html.escape(text).split("`")
    marked = [f"<code>{part}</code>" if i % 2 else part for i, part in enumerate(parts)]
    strong = "".join(marked).split("**")
    return "".join(f"<strong>{part}</strong>" if i % 2 else part for i, part in enumerate(strong))
