"""The command `freeze`: our own smoke records, which later runs are held against."""

import os
import shutil
from typing import Any

from resparse import artifact as artifacts
from resparse import data
from resparse.errors import RunFailed, UsageError
from resparse.files import canonical, write_atomic, write_json
from resparse.progress import Progress
from resparse.record import RunStore
from resparse.runner import git, run_all, with_parents
from resparse.workloads import workload


def clean_commit() -> str:
    """The commit that is checked out; raises UsageError where anything differs from it."""
    commit = git("rev-parse", "HEAD")
    if not commit:
        raise UsageError("git knows no commit here; baselines are frozen from a git checkout")
    changed = git("status", "--porcelain")
    if changed:
        first = changed.splitlines()[0].strip()
        raise UsageError(f"the tree has uncommitted changes ({first}); commit them first")
    return commit


def freeze(name: str, workers: int | None) -> int:
    """Train every row with the level's frozen seeds from an empty store and keep the outcomes.

    Refuses a dirty tree, before and after: a frozen number belongs to a commit. The store is that
    commit's own, so an interrupted freeze continues.
    """
    table = artifacts.load(name)
    commit = clean_commit()
    level = table.level("smoke")
    problem = workload(level.workload)
    images = data.load(problem.dataset, None)
    seeds = range(level.frozen_seeds)
    planned = artifacts.plan(table, "smoke", images.sha256, seeds=seeds)
    runs = with_parents([p.run for p in planned])
    target = artifacts.ROOT / "baselines" / "frozen" / table.paper / f"{table.name}-smoke.jsonl"
    folder = artifacts.ROOT / "runs" / f"freeze-{commit}"
    store = RunStore(folder)
    todo = [run for run in runs if store.record(run) is None]
    with Progress(len(runs), len(runs) - len(todo)) as progress:
        failed = run_all(
            todo,
            store,
            data_root=None,
            device="cpu",
            workers=workers or len(os.sched_getaffinity(0)),
            notify=progress.notify,
        )
    if failed:
        key, why = next(iter(failed.items()))
        raise RunFailed(f"{len(failed)} runs failed, nothing is frozen; run {key}: {why}")
    lines: dict[str, dict[str, Any]] = {}
    facts: dict[str, Any] = {}
    for item in planned:
        record = store.record(item.run)
        if record is None:
            raise RunFailed(f"run {item.run.key} is not committed, nothing is frozen")
        facts = {k: v for k, v in record.provenance.items() if k != "wall_s"}
        lines.setdefault(
            record.key,
            {
                "row": item.label,
                "sparsity": item.sparsity,
                "seed": item.run.seed,
                "key": record.key,
                "status": record.status,
                "fingerprint": record.fingerprint,
                "outcome": record.outcome,
            },
        )
    if clean_commit() != commit:
        raise RunFailed(f"another commit was checked out meanwhile; nothing is frozen of {commit}")
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(target, "".join(canonical(line) + "\n" for line in lines.values()))
    command = {"command": f"nox -s freeze -- {name}"}
    write_json(target.with_suffix(".provenance.json"), facts | command)
    shutil.rmtree(folder)
    print(f"{len(lines)} records of {len(seeds)} seeds frozen in {target}")
    return 0
