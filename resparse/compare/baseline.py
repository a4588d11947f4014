"""The panel's stored baselines: where their numbers come from, and whether they still hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from resparse.compare.panel import PANEL, PORTABLE, Entry
from resparse.errors import RunFailed
from resparse.frozen.lines import agrees, frozen_lines, made_by
from resparse.record import RunStore
from resparse.worker import code_of


@dataclass(frozen=True, kw_only=True)
class Stored:
    """Frozen lines by run key, and the runs that today's code makes again to vouch for the rest."""

    lines: Mapping[str, dict[str, Any]]
    again: Sequence[Entry]
    said: str  # where the baselines' numbers come from
    why: str = ""  # what made the lines of ``again``


def stored(theirs: Sequence[Entry], level: str) -> Stored:
    """The stored lines of these runs.

    Where another code or torch made them, the first seed of each baseline, workload and sparsity
    is to be trained again: ``require_equal`` then holds it against its line, bit by bit. That can
    be asked at smoke alone, whose numbers are the same on every machine: at other levels such
    lines are left, and their runs trained anew.
    """
    lines = {line["key"]: line for line in frozen_lines(PANEL, level)}
    keys = {entry.run.key for entry in theirs}
    facts = made_by(PANEL, level)
    same_torch = bool(facts) and facts["torch"] == torch.__version__
    known = len(keys & set(lines))
    if level != PORTABLE:
        lines = _of_today(theirs, lines) if same_torch else {}
    found = len(keys & set(lines))
    left = f"; {known - found} frozen records left, of other code or torch" if known > found else ""
    if not found:
        return Stored(lines={}, again=(), said=f"{len(keys)} runs of this store{left}")
    again = _other_code(theirs, lines, same_torch=same_torch)
    made_at = str(facts.get("git_sha", "unknown"))[:12]
    said = f"{found} frozen records, made at {made_at} with torch {facts['torch']}"
    if again:
        runs = len({entry.run.key for entry in again})
        said += f"; {runs} of them trained again by today's code, every number bit-equal"
    if found < len(keys):
        said += f"; {len(keys) - found} runs of this store{left}"
    why = "made by other code" if same_torch else f"made with torch {facts['torch']}"
    return Stored(lines=lines, again=again, said=said, why=why)


def _of_today(
    theirs: Sequence[Entry], lines: Mapping[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """The lines that today's code made."""
    codes: dict[tuple[str, str], str] = {}
    same = {}
    for entry in theirs:
        line, place = lines.get(entry.run.key), (entry.label, entry.workload)
        if line is not None and line["fingerprint"] == _code(entry, place, codes):
            same[entry.run.key] = line
    return same


def _code(entry: Entry, place: tuple[str, str], codes: dict[tuple[str, str], str]) -> str:
    """The fingerprint of the entry's run; what makes a run is the same for all its seeds."""
    if place not in codes:
        codes[place] = code_of(entry.run)
    return codes[place]


def _other_code(
    theirs: Sequence[Entry], lines: Mapping[str, dict[str, Any]], *, same_torch: bool
) -> list[Entry]:
    codes: dict[tuple[str, str], str] = {}
    again: dict[tuple[str, str, float], Entry] = {}
    for entry in theirs:
        line, place = lines.get(entry.run.key), (entry.label, entry.workload)
        if line is None or entry.length != 1:
            continue
        if not same_torch or line["fingerprint"] != _code(entry, place, codes):
            again.setdefault((*place, entry.sparsity), entry)
    return list(again.values())


def require_equal(found: Stored, store: RunStore) -> None:
    """Raise RunFailed naming the first run that today's code ends otherwise than the stored one."""
    for entry in found.again:
        line, record = found.lines[entry.run.key], store.record(entry.run)
        if record is None:
            raise RunFailed(f"run {entry.run.key} is not committed: repeat the command")
        if not agrees(record, line["outcome"]):
            raise RunFailed(
                f"baseline {entry.label} on {entry.workload}, sparsity {entry.sparsity:g}, seed "
                f"{entry.run.seed} ends at {record.outcome['top1_last']:.2f} % today and at "
                f"{line['outcome']['top1_last']:.2f} % as stored: other code or another torch made "
                "the stored ones; valid: find the change (nox -s regression), or freeze them anew "
                "(nox -s freeze -- compare/panel)"
            )
