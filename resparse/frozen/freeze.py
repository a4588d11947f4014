"""The command `freeze`: our own records, which later runs are held against."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from resparse import artifact as artifacts
from resparse import data
from resparse.asked import Options
from resparse.compare import panel
from resparse.compare.panel import PANEL
from resparse.errors import RunFailed, UsageError
from resparse.files import canonical, write_atomic, write_json
from resparse.frozen.lines import frozen_file
from resparse.how import How
from resparse.progress import Progress
from resparse.provenance import git, uncommitted
from resparse.record import Run, RunFolder, RunStore
from resparse.reproduce import require_all_ready
from resparse.runner import run_all, with_parents
from resparse.slots import at_once
from resparse.workloads import Workload, workload


def clean_commit() -> str:
    """The commit that is checked out; raises UsageError where anything but reports/ differs."""
    commit = git("rev-parse", "HEAD")
    if not commit:
        raise UsageError("git knows no commit here; baselines are frozen from a git checkout")
    if changed := uncommitted():
        raise UsageError(
            f"the tree has uncommitted changes ({changed[0].strip()}); commit them first"
        )
    return commit


def _of_table(name: str, level: str, root: Path | None) -> list[tuple[dict[str, Any], Run]]:
    """Every run of a table's frozen seeds, and what a frozen line says of it."""
    table = artifacts.load(name)
    at = table.level(level)
    images = data.load(workload(at.workload).dataset, root)
    planned = artifacts.plan(table, level, images.sha256, seeds=range(at.frozen_seeds))
    return [({"row": item.label, "sparsity": item.sparsity}, item.run) for item in planned]


def _of_panel(level: str, root: Path | None) -> list[tuple[dict[str, Any], Run]]:
    """Every baseline's runs of the panel."""
    made = panel.baseline_entries(panel.load(), level, root)
    named = ("workload", "sparsity", "length")
    return [({"row": e.label} | {n: getattr(e, n) for n in named}, e.run) for e in made]


def _problems(name: str, level: str) -> list[Workload]:
    if name != PANEL:
        return [workload(artifacts.load(name).level(level).workload)]
    return list(panel.problems(panel.load().level(level).workloads).values())


def planned(
    name: str, level: str = "smoke", root: Path | None = None
) -> list[tuple[dict[str, Any], Run]]:
    """What is frozen under this name: what a line says of a run beside its key, and the run."""
    return _of_panel(level, root) if name == PANEL else _of_table(name, level, root)


def freezing(name: str, level: str) -> str:
    """The command that freezes it."""
    return " ".join(["nox -s freeze --", name, *([] if level == "smoke" else ["--level", level])])


def freeze(name: str, options: Options) -> int:
    """Train every row with the level's frozen seeds from an empty store and keep the outcomes.

    Refuses a dirty tree, before and after: a frozen number belongs to a commit. The store is this
    command's at that commit alone, so an interrupted freeze continues.
    """
    commit = clean_commit()
    made = planned(name, options.level, options.data_root)
    how = require_all_ready(_problems(name, options.level), [run for _, run in made], options)
    called = f"{name}-{options.level}-{how.device}".replace("/", "-")
    folder = artifacts.ROOT / "runs" / f"freeze-{commit}-{called}"
    with RunFolder(folder).lock():
        count = _freeze(made, RunStore(folder), how, options, commit)
        shutil.rmtree(folder)
    print(f"{count} records frozen in {frozen_file(name, options.level)}")
    return 0


def train(runs: Sequence[Run], store: RunStore, how: How, options: Options) -> dict[str, str]:
    """Train what the store lacks; why a run failed, by its key."""
    todo = [run for run in runs if store.record(run) is None]
    with Progress(len(runs), len(runs) - len(todo), quiet=options.json) as progress:
        return run_all(
            todo,
            store,
            data_root=options.data_root,
            how=how,
            workers=options.workers or at_once(how),
            notify=progress.notify,
        )


def _freeze(
    made: Sequence[tuple[dict[str, Any], Run]],
    store: RunStore,
    how: How,
    options: Options,
    commit: str,
) -> int:
    """Train what the store lacks and write the lines; returns how many."""
    runs = with_parents([run for _, run in made])
    failed = train(runs, store, how, options)
    if failed:
        key, why = next(iter(failed.items()))
        raise RunFailed(f"{len(failed)} runs failed, nothing is frozen; run {key}: {why}")
    lines: dict[str, dict[str, Any]] = {}
    facts: dict[str, Any] = {}
    for facts_of, run in made:
        record = store.record(run)
        if record is None:
            raise RunFailed(f"run {run.key} is not committed, nothing is frozen")
        facts = {k: v for k, v in record.provenance.items() if k != "wall_s"}
        found = {x: getattr(record, x) for x in ("key", "status", "fingerprint", "outcome")}
        lines.setdefault(record.key, facts_of | {"seed": run.seed} | found)
    if clean_commit() != commit:
        raise RunFailed(f"another commit was checked out meanwhile; nothing is frozen of {commit}")
    target = frozen_file(options.name, options.level)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(target, "".join(canonical(line) + "\n" for line in lines.values()))
    command = {"command": freezing(options.name, options.level)}
    write_json(target.with_suffix(".provenance.json"), facts | command)
    return len(lines)
