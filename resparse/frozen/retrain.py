"""The command `regression`: the panel's baselines trained anew and held against the frozen ones."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from resparse import verdict
from resparse.artifact import ROOT
from resparse.asked import Options
from resparse.compare import panel
from resparse.compare.panel import PANEL, PORTABLE, Entry
from resparse.errors import Missing, UsageError, worst
from resparse.files import require_writable, sha256, write_atomic
from resparse.frozen.freeze import freezing, train
from resparse.frozen.lines import frozen_file, frozen_lines, made_by
from resparse.frozen.regression import Finding, Row, judge
from resparse.record import Record, Run, RunFolder, RunStore
from resparse.reproduce import require_all_ready
from resparse.runner import with_parents
from resparse.verdict import Verdict
from resparse.worker import code_of


def regression(seeds: int, options: Options, table: Path | None = None) -> int:
    """Retrain every baseline at its own length with the first seeds, and say what got worse.

    ``options.only`` names some of them; ``table`` is a file for the findings in Markdown. The store
    is empty but for what an interrupted one of the same code, runs, torch and device has left, and
    removed at the end; one with a failed run stays, to be looked at.
    """
    found = panel.load()
    labels = chosen(options.only, [baseline.label for baseline in found.baseline])
    level = found.level(options.level)
    require_frozen(options.level)
    check_seeds(seeds, len(level.seeds))
    made = made_by(PANEL, options.level)
    problems = panel.problems(level.workloads, level.recipe)
    entries = panel.baseline_entries(found, options.level, options.data_root)
    entries = [entry for entry in entries if entry.label in labels]
    lines = frozen_panel(entries, labels, options.level)
    how = require_all_ready(problems.values(), [entry.run for entry in entries], options)
    if table is not None:
        require_writable(table.parent)
    groups = by_row(entries)
    ours = level.seeds[:seeds]
    runs = with_parents([e.run for group in groups for e in group if e.run.seed in ours])
    folder = ROOT / "runs" / f"regression-{store_name(runs, how.device)}"
    store = RunStore(folder)
    with RunFolder(folder).lock():
        failed = train(runs, store, how, options)
        rows = [row_of(group, ours, store, failed, lines) for group in groups]
        findings = judge(rows, found.panel.margin_pp)
        if not failed:
            shutil.rmtree(folder)
    left = f"; what failed lies in {folder}" if failed else ""
    code = exit_code(findings)
    said = text(findings, seeds, str(made["torch"]))
    print(as_json_text(findings, seeds, code) if options.json else said + left)
    if table is not None:
        write_atomic(table, markdown(findings, seeds, options.level))
    return code


def require_frozen(level: str) -> None:
    """Raise Missing, with the command that freezes them, where a level has no frozen records."""
    file = frozen_file(PANEL, level)
    if not file.is_file():
        raise Missing(
            f"level {level} of the panel has no frozen records ({file.relative_to(ROOT)} is not "
            f"there): {freezing(PANEL, level)}"
        )


def chosen(only: Sequence[str], labels: Sequence[str]) -> list[str]:
    """The labels that --only names, or all; raises UsageError for one that is not there."""
    for label in only:
        if label not in labels:
            raise UsageError(f"--only {label!r}; valid: {', '.join(labels)}")
    return [label for label in labels if not only or label in only]


def check_seeds(seeds: int, level: int) -> None:
    """Refuse so many seeds that fewer than two frozen ones are left to hold them against."""
    if seeds > level - 2:
        raise UsageError(
            f"--seeds {seeds}; valid: 1 to {level - 2}, of the panel's {level}: a drop is tested "
            "against frozen seeds that are not retrained"
        )


def frozen_panel(
    entries: Sequence[Entry], labels: Sequence[str], level: str = PORTABLE
) -> dict[str, dict[str, Any]]:
    """Frozen lines by key; raises Missing unless they are just the runs of today's panel."""
    lines = {line["key"]: line for line in frozen_lines(PANEL, level) if line["row"] in labels}
    anew = freezing(PANEL, level)
    if not lines:
        file = frozen_file(PANEL, level).relative_to(ROOT)
        raise Missing(f"{file} has no records of {', '.join(labels)}: {anew}")
    today = {entry.run.key: entry for entry in entries}
    gone = [line for key, line in lines.items() if key not in today]
    new = [entry for key, entry in today.items() if key not in lines]
    if gone or new:
        named = [f"frozen {x['row']} on {x['workload']} at {x['sparsity']}" for x in gone[:1]]
        named += [f"today's {x.label} on {x.workload} at {x.sparsity}" for x in new[:1]]
        raise Missing(
            f"frozen records are of another panel ({len(gone)} runs are no longer in it, "
            f"{len(new)} not yet frozen; first {', '.join(named)}): {anew}"
        )
    return lines


def by_row(entries: Sequence[Entry]) -> list[list[Entry]]:
    """All seeds of each row at length 1; runs that two sparsities share (dense) are one row."""
    rows: dict[tuple[Any, ...], list[Entry]] = {}
    for entry in entries:
        if entry.length == 1:
            rows.setdefault((entry.label, entry.workload, entry.sparsity), []).append(entry)
    distinct = {tuple(e.run.key for e in row): row for row in reversed(rows.values())}
    return list(reversed(distinct.values()))


def store_name(runs: Sequence[Run], device: str) -> str:
    """12 hex digits over the runs, the code that trains them, torch and where it computes."""
    made_of = [f"{run.key} {code_of(run)}" for run in runs]
    return sha256("\n".join([torch.__version__, device, *made_of]))[:12]


def row_of(
    group: Sequence[Entry],
    seeds: Sequence[int],
    store: RunStore,
    failed: dict[str, str],
    lines: dict[str, dict[str, Any]],
) -> Row:
    """Our records of a row beside all of its frozen lines."""
    ours: dict[int, Record] = {}
    for entry in group:
        record = store.record(entry.run) if entry.run.seed in seeds else None
        if record is not None:
            ours[entry.run.seed] = record
    first = group[0]
    return Row(
        label=first.label,
        workload=first.workload,
        sparsity=round(1 - first.run.density, 9),  # 0 where the row is dense
        ours=ours,
        frozen={entry.run.seed: lines[entry.run.key] for entry in group},
        failed={e.run.seed: failed[e.run.key] for e in group if e.run.key in failed},
    )


def exit_code(findings: Sequence[Finding]) -> int:
    """1 for a regression, 2 where a run failed, else 0."""
    unstable = any(finding.verdict is Verdict.UNSTABLE for finding in findings)
    return worst([verdict.exit_code(finding.verdict for finding in findings), 1 if unstable else 0])


def many(count: int, word: str) -> str:
    """A count of things: 1 row, 2 rows."""
    return f"{count} {word}{'s' * (count != 1)}"


def text(findings: Sequence[Finding], seeds: int, other: str | None = None) -> str:
    """A line a row, and the count; ``other`` is the torch that made the frozen records."""
    lines = []
    for found in findings:
        row, word = found.row, "REGRESSION" if found.regression else str(found.verdict)
        lines.append(f"{row.label}, {row.workload}, sparsity {row.sparsity}: {word}: {found.why}")
    worse = sum(finding.regression for finding in findings)
    same = sum(finding.verdict is Verdict.IDENTICAL for finding in findings)
    other = other or "an unknown version"
    if same < len(findings) and other != torch.__version__:
        lines.append(f"the frozen runs are torch {other}'s, these {torch.__version__}'s")
    return "\n".join(
        [
            *lines,
            f"{many(len(findings), 'row')} retrained with {many(seeds, 'seed')} each: "
            f"{same} identical, {many(worse, 'regression')}",
        ]
    )


def markdown(findings: Sequence[Finding], seeds: int, level: str) -> str:
    """The findings as a table, what got worse first; differences in percentage points."""
    worse = sum(finding.regression for finding in findings)
    lines = [
        f"{many(len(findings), 'row')} of the panel at level {level}, {many(seeds, 'seed')} each: "
        f"{many(worse, 'regression')}",
        "",
        "| row | workload | sparsity | verdict | difference | p | smallest visible drop | why |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for found in sorted(findings, key=lambda finding: not finding.regression):
        row, test = found.row, found.test
        verdict = f"**{found.verdict}**" if found.regression else str(found.verdict)
        tested = ["", "", ""]
        if test is not None:
            p = "" if found.p is None else f"{found.p:.3f}"
            tested = [f"{test.difference:+z.2f}", p, f"{test.smallest_visible_drop:.2f}"]
        cells = [row.label, row.workload, f"{row.sparsity:g}", verdict, *tested, found.why]
        flat = (" ".join(cell.split()).replace("|", "&#124;") for cell in cells)
        lines.append(f"| {' | '.join(flat)} |")
    return "\n".join(lines) + "\n"


def as_json_text(findings: Sequence[Finding], seeds: int, code: int) -> str:
    """The same as JSON; differences are in percentage points."""
    rows = [
        {
            "row": f.row.label,
            "workload": f.row.workload,
            "sparsity": f.row.sparsity,
            "verdict": str(f.verdict),
            "regression": f.regression,
            "why": f.why,
            "difference": f.test.difference if f.test else None,
            "p": f.p,
            "smallest_visible_drop": f.test.smallest_visible_drop if f.test else None,
        }
        for f in findings
    ]
    return json.dumps({"seeds": seeds, "exit_code": code, "rows": rows}, indent=1)
