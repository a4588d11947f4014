"""The command `regression`: the panel's baselines trained anew and held against the frozen ones."""

import json
import os
import shutil
from collections.abc import Sequence
from typing import Any

import torch

from resparse import panel, verdict
from resparse.artifact import ROOT
from resparse.errors import Missing, UsageError, worst
from resparse.files import read_json, sha256
from resparse.freeze import PANEL
from resparse.frozen import frozen_lines
from resparse.how import How
from resparse.panel import Entry
from resparse.progress import Progress
from resparse.record import Record, Run, RunFolder, RunStore
from resparse.regression import Finding, Row, judge
from resparse.runner import run_all, with_parents
from resparse.verdict import Verdict
from resparse.worker import code_of

FREEZE = f"nox -s freeze -- {PANEL}"


def regression(seeds: int, only: Sequence[str], workers: int | None, *, as_json: bool) -> int:
    """Retrain every baseline at its own length with the first seeds, and say what got worse.

    The store is empty but for what an interrupted one of the same code, runs and torch has left,
    and removed at the end; one with a failed run stays, to be looked at.
    """
    found = panel.load()
    labels = chosen(only, [baseline.label for baseline in found.baseline])
    level = found.level("smoke")
    check_seeds(seeds, len(level.seeds))
    entries = [e for e in panel.baseline_entries(found, "smoke") if e.label in labels]
    lines = frozen_panel(entries, labels)
    groups = by_row(entries)
    ours = level.seeds[:seeds]
    runs = with_parents([e.run for group in groups for e in group if e.run.seed in ours])
    folder = ROOT / "runs" / f"regression-{store_name(runs)}"
    store = RunStore(folder)
    with RunFolder(folder).lock():
        failed = _train(runs, store, workers, quiet=as_json)
        rows = [row_of(group, ours, store, failed, lines) for group in groups]
        findings = judge(rows, found.panel.margin_pp)
        if not failed:
            shutil.rmtree(folder)
    left = f"; what failed lies in {folder}" if failed else ""
    code = exit_code(findings)
    print(as_json_text(findings, seeds, code) if as_json else text(findings, seeds) + left)
    return code


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


def frozen_panel(entries: Sequence[Entry], labels: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Frozen lines by key; raises Missing unless they are just the runs of today's panel."""
    lines = {line["key"]: line for line in frozen_lines(PANEL, "smoke") if line["row"] in labels}
    if not lines:
        raise Missing(f"{panel.FROZEN} has no records of {', '.join(labels)}: {FREEZE}")
    today = {entry.run.key: entry for entry in entries}
    gone = [line for key, line in lines.items() if key not in today]
    new = [entry for key, entry in today.items() if key not in lines]
    if gone or new:
        named = [f"frozen {x['row']} on {x['workload']} at {x['sparsity']}" for x in gone[:1]]
        named += [f"today's {x.label} on {x.workload} at {x.sparsity}" for x in new[:1]]
        raise Missing(
            f"frozen records are of another panel ({len(gone)} runs are no longer in it, "
            f"{len(new)} not yet frozen; first {', '.join(named)}): {FREEZE}"
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


def store_name(runs: Sequence[Run]) -> str:
    """12 hex digits over the runs, the code that trains them and the torch that computes."""
    made_of = [f"{run.key} {code_of(run)}" for run in runs]
    return sha256("\n".join([torch.__version__, *made_of]))[:12]


def _train(
    runs: Sequence[Run], store: RunStore, workers: int | None, *, quiet: bool
) -> dict[str, str]:
    todo = [run for run in runs if store.record(run) is None]
    with Progress(len(runs), len(runs) - len(todo), quiet=quiet) as progress:
        return run_all(
            todo,
            store,
            data_root=None,
            how=How(),
            workers=workers or len(os.sched_getaffinity(0)),
            notify=progress.notify,
        )


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


def text(findings: Sequence[Finding], seeds: int) -> str:
    """A line a row, and the count."""
    lines = []
    for found in findings:
        row, word = found.row, "REGRESSION" if found.regression else str(found.verdict)
        lines.append(f"{row.label}, {row.workload}, sparsity {row.sparsity}: {word}: {found.why}")
    worse = sum(finding.regression for finding in findings)
    same = sum(finding.verdict is Verdict.IDENTICAL for finding in findings)
    other = torch_of_frozen()
    if same < len(findings) and other != torch.__version__:
        lines.append(f"the frozen runs are torch {other}'s, these {torch.__version__}'s")
    return "\n".join(
        [
            *lines,
            f"{len(findings)} rows retrained with {seeds} seeds each: {same} identical, "
            f"{worse} regressions",
        ]
    )


def torch_of_frozen() -> str:
    """The torch version that made the frozen records."""
    path = (ROOT / panel.FROZEN).with_suffix(".provenance.json")
    return str(read_json(path)["torch"]) if path.is_file() else "an unknown version"


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
