"""Many runs on one machine: a process each, forked from one that has torch loaded."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from resparse import distributed, forking
from resparse.errors import DiskFull, Requeue, RunFailed, UsageError
from resparse.how import How
from resparse.provenance import provenance
from resparse.record import Run, RunStore
from resparse.slots import emptiest, slots
from resparse.stack import alike, require_stacking
from resparse.stopping import raising
from resparse.worker import code_of

ENDS_ALL = (Requeue, DiskFull)  # what one run says and holds for all: each ends as it is
Notify = Callable[[Run, str], None]  # (run, "running" | "done" | "failed")


def with_parents(runs: Sequence[Run]) -> list[Run]:
    """Each distinct run once, parents before children."""
    ordered: dict[str, Run] = {}

    def add(run: Run) -> None:
        if run.parent is not None:
            add(run.parent)
        ordered.setdefault(run.key, run)

    for run in runs:
        add(run)
    return list(ordered.values())


def pending(runs: Sequence[Run], store: RunStore, *, rerun_stale: bool) -> list[Run]:
    """Runs without a committed record; with ``rerun_stale`` also those made by other code.

    A stale run is moved to stale/, not deleted; so are its children, whose start it was.
    """
    todo: list[Run] = []
    for run in with_parents(runs):
        record = store.record(run)
        redone = run.parent is not None and run.parent in todo
        stale = record is not None and record.fingerprint != code_of(run)
        if record is not None and rerun_stale and (stale or redone):
            store.set_aside(run, record.fingerprint)
            record = None
        if record is None:
            todo.append(run)
    return todo


def groups(runs: Sequence[Run], most: int) -> list[list[Run]]:
    """Runs that one process trains at once, in their order: alike, and at most ``most``."""
    made: list[list[Run]] = []
    filling: dict[tuple[object, ...], list[Run]] = {}
    for run in runs:
        group = filling.get(alike(run), [])
        if not group or len(group) == most:
            group = filling[alike(run)] = []
            made.append(group)
        group.append(run)
    return made


def run_all(
    runs: Sequence[Run],
    store: RunStore,
    *,
    data_root: Path | None,
    how: How,
    workers: int,
    notify: Notify,
    command: str = "",
    give_up: bool = False,
) -> dict[str, str]:
    """Train ``runs`` (parents included), at most ``workers`` at once: run key -> why it failed.

    Each run starts when its parent is committed, on GPUs of its own as long as there are (slots).
    Ctrl-C, SIGTERM and SIGUSR1 let each finish its step and write a checkpoint, and are passed on,
    the latter two as Requeue; so is DiskFull. Under torchrun all its processes train one run after
    another. Elsewhere one precision comes after the other: a run's numerics do not depend on what
    other processes train beside it. Where ``how`` says replicates, a process trains up to so many
    runs that are ready and alike at once (groups); raises UsageError where a model has no batched
    products. ``command`` goes to the records (default: the command line's). With ``give_up``
    nothing new starts after a failure.
    """
    if how.replicates > 1:
        if distributed.together():
            raise UsageError(f"replicates = {how.replicates} under torchrun; valid: without it")
        for run in runs:
            require_stacking(run)
    failed: dict[str, str] = {}
    codes = {run.key: code_of(run) for run in runs}  # before any process loads it
    facts = provenance() | ({"command": command} if command else {})
    where = (str(store.root), str(data_root or ""), how, facts)
    if distributed.together():
        return _run_together(runs, where, codes, notify)
    with raising():
        for precision in dict.fromkeys(run.precision for run in runs):
            chosen = [run for run in runs if run.precision == precision]
            if not (failed and give_up):
                server = forking.context(precision)
                failed |= _run_all(chosen, store, where, codes, server, workers, notify, give_up)
    return failed


def _run_together(
    runs: Sequence[Run], where: tuple[Any, ...], codes: dict[str, str], notify: Notify
) -> dict[str, str]:
    """Train in this process, which is one of several; the first failure ends all of them."""
    from resparse import worker

    main: Callable[..., str] = worker.main
    for run in runs:
        notify(run, "running")
        why = main(run.config, *where, codes[run.key])
        notify(run, "failed" if why else "done")
        if why:
            return {run.key: why}
    return {}


def _run_all(
    runs: Sequence[Run],
    store: RunStore,
    where: tuple[Any, ...],
    codes: dict[str, str],
    context: ForkServerContext,
    workers: int,
    notify: Notify,
    give_up: bool,
) -> dict[str, str]:
    waiting = list(runs)
    active: dict[Any, tuple[Any, list[Run], Connection[Any, Any], Any, str]] = {}
    how = where[2]
    places = slots(how)
    failed: dict[str, str] = {}
    try:
        while waiting or active:
            for run in [r for r in waiting if r.parent and r.parent.key in failed]:
                waiting.remove(run)
                failed[run.key] = f"its parent {run.parent.key if run.parent else ''} failed"
                notify(run, "failed")
            if failed and give_up:
                waiting.clear()
            ready = [r for r in waiting if not r.parent or store.folder(r.parent).committed]
            for some in groups(ready, how.replicates)[: workers - len(active)]:
                arguments = ([run.config for run in some], *where, [codes[r.key] for r in some])
                reasons, end = context.Pipe(duplex=False)
                done = context.RawValue("q", -1)  # steps; memory outlives whoever wrote to it
                slot = emptiest(places, [at for *_, at in active.values()])
                process = context.Process(target=_main, args=(end, done, slot, *arguments))
                forking.start(process)
                end.close()
                active[process.sentinel] = (process, some, reasons, done, slot)
                for run in some:
                    waiting.remove(run)
                    notify(run, "running")
            if not active:
                if waiting:
                    raise RunFailed(f"run {waiting[0].key} waits for a parent nobody trains")
                break
            for sentinel in wait(list(active)):
                process, some, reasons, done, _ = active.pop(sentinel)
                process.join()
                why = _failed(process.exitcode, some, reasons, done.value, store)
                failed |= why
                for run in some:
                    notify(run, "failed" if run.key in why else "done")
    finally:
        for process, *_ in active.values():
            process.terminate()
            process.join()
    return failed


def _failed(
    exitcode: int | None,
    runs: Sequence[Run],
    reasons: "Connection[Any, Any]",
    done: int,
    store: RunStore,
) -> dict[str, str]:
    """Why those of a process's runs failed that did, by key; raises what holds for all runs."""
    left = [run for run in runs if not store.folder(run).committed]
    if not (left or exitcode):
        return {}
    why = _why(reasons, exitcode, runs, done)
    for ends_all in ENDS_ALL:
        if exitcode == ends_all.exit_code:
            raise ends_all(f"run {runs[0].key}: {why[runs[0].key]}")
    return {run.key: why[run.key] for run in left}


def _main(
    end: "Connection[Any, Any]",
    done: Any,
    slot: str,
    configs: list[dict[str, Any]],
    root: str,
    data_root: str | None,
    how: How,
    facts: dict[str, Any],
    codes: list[str],
) -> None:
    """A run in a process of its own, or, of several, that of their torchrun; ``slot``: its GPUs.

    Or several runs that are trained together.
    """
    from resparse import group, joint_worker, worker

    def tell(step: int) -> None:
        done.value = step

    forking.stdout_to_stderr()
    if slot:
        os.environ["CUDA_VISIBLE_DEVICES"] = slot
    how = replace(how, replicates=len(configs))
    one: Callable[..., str] = group.main if how.world > 1 else partial(worker.main, tell=tell)
    why: dict[str, str] | str
    try:
        if len(configs) > 1:
            why = joint_worker.main(configs, root, data_root, how, facts, codes, tell)
        else:
            why = one(configs[0], root, data_root, how, facts, codes[0])
    except ENDS_ALL as error:
        end.send(str(error))
        raise SystemExit(error.exit_code) from None
    if why:
        end.send(why)
        raise SystemExit(1)


def _why(
    reasons: "Connection[Any, Any]", exitcode: int | None, runs: Sequence[Run], done: int
) -> dict[str, str]:
    """What the process said of each of its runs, or where it was when it ended without a word."""
    try:
        said = reasons.recv()
    except EOFError:
        killed = " (SIGKILL: often the kernel, for want of memory)" if exitcode == -9 else ""
        at = f"step {done}" if done < runs[0].recipe.steps else "after the last step"
        where = at if done >= 0 else "before training"
        ended = f"{where}: its process ended with exit code {exitcode}{killed}"
        return {run.key: f"method {run.method}, {ended}" for run in runs}
    return said if isinstance(said, dict) else {run.key: str(said) for run in runs}
