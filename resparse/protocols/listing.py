"""Protocols for people, a table each in which unknowns stand out, and for other programs."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from resparse.errors import UsageError
from resparse.protocols.protocol import STATUSES, Protocol, Value

UNCHECKED = "*"  # behind a key: no run carries it
FIRST = ("model", "dataset", "method", "sparsity")  # of the keys; the others in their files' order


def named(protocols: Sequence[Protocol], paper: str, name: str | None) -> list[Protocol]:
    """Those of a name, which is a protocol's, a table's, a panel's or a figure's; all for None."""
    if name is None:
        return list(protocols)
    short = name.removeprefix(f"{paper}/").removeprefix("panels/")
    found = [p for p in protocols if short == p.entry.name or _is_of(p, short)]
    if not found:
        valid = ", ".join(p.entry.name for p in protocols)
        raise UsageError(f"no protocol {name!r} of paper {paper!r}; valid: {valid}")
    return found


def _is_of(protocol: Protocol, short: str) -> bool:
    names = [artifact.removeprefix("panels/") for artifact in protocol.entry.artifacts]
    return any(name == short or name.startswith(f"{short}_") for name in names)


def as_json(protocol: Protocol) -> dict[str, Any]:
    """All of a protocol in plain types; ``checked``: compared with the runs."""
    entry = protocol.entry
    return {
        "name": entry.name,
        "title": entry.title,
        "file": protocol.file,
        "artifacts": entry.artifacts,
        "rows": entry.rows,
        "counts": dict(_counts([protocol])),
        "values": [
            {"key": v.key, "checked": v.table == "run", "file": v.file, **v.said.model_dump()}
            for v in _in_order(protocol)
        ],
    }


def to_terminal(protocols: Sequence[Protocol], console: Console | None = None) -> None:
    """Print a table a protocol, and how many values are stated, inferred and unknown."""
    console = console or Console(width=None if Console().is_terminal else 162)
    for protocol in protocols:
        entry = protocol.entry
        of = f"{', '.join(entry.artifacts)}{': ' * bool(entry.rows)}{', '.join(entry.rows)}"
        table = Table(title=f"{entry.name} ({of}): {entry.title}", title_justify="left")
        for column in ("name", "value", "status", "where", "why"):
            table.add_column(column)
        for checked in (True, False):
            for value in (v for v in _in_order(protocol) if (v.table == "run") == checked):
                unknown = value.said.status == "unknown"
                table.add_row(*map(Text, _line(value)), style="bold" if unknown else None)
            table.add_section()
        console.print(table, markup=False)
        console.print(_said([protocol]), highlight=False, markup=False)
    if len(protocols) > 1:
        console.print(f"together: {_said(protocols)}", highlight=False, markup=False)
    console.print(
        f"{UNCHECKED} no run carries it; all else equals every run planned at level paper",
        highlight=False,
        markup=False,
    )


def _in_order(protocol: Protocol) -> list[Value]:
    place = {key: n for n, key in enumerate(FIRST)}
    return sorted(protocol.values, key=lambda value: place.get(value.key, len(FIRST)))


def _line(value: Value) -> tuple[str, ...]:
    said, of = value.said, ", ".join(value.said.rows)
    name = value.key + UNCHECKED * (value.table == "code")
    text = f"{of}: {_text(said.value)}" if of else _text(said.value)
    status = said.status.upper() if said.status == "unknown" else said.status
    return name, text, status, said.where, said.why


def _text(value: Any) -> str:
    """A value as people read it; of several each.

    >>> _text(0.5), _text(True), _text([1, 2]), _text([[1, 2], [3, 4]])
    ('0.5', 'true', '1, 2', '(1, 2), (3, 4)')
    """
    if isinstance(value, list):
        return ", ".join(f"({_text(v)})" if isinstance(v, list) else _text(v) for v in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _counts(protocols: Sequence[Protocol]) -> Counter[str]:
    return Counter(value.said.status for p in protocols for value in p.values)


def _said(protocols: Sequence[Protocol]) -> str:
    counts = _counts(protocols)
    return ", ".join(f"{counts[status]} {status}" for status in STATUSES)
