"""A part of a report beside its cells: a heading, a small table, sentences; plain data."""

from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Section:
    """``rows`` have as many texts as ``head``; ``notes`` are sentences below."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def to_terminal(section: Section, console: Console) -> None:
    """Print one section."""
    table = Table(title=section.title, title_justify="left")
    for name in section.head:
        table.add_column(name)
    for row in section.rows:
        table.add_row(*row)
    console.print(table, markup=False)
    for note in section.notes:
        console.print(note, highlight=False, markup=False)


def as_markdown(section: Section, escape: Callable[[str], str]) -> list[str]:
    """The lines of a section; ``escape`` makes a text safe in a Markdown table."""
    lines = ["", f"## {escape(section.title)}", ""]
    lines += [f"| {' | '.join(map(escape, section.head))} |", "|---" * len(section.head) + "|"]
    lines += [f"| {' | '.join(map(escape, row))} |" for row in section.rows]
    return lines + [""] + [f"- {escape(note)}" for note in section.notes]
