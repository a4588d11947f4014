"""Three real optimizer steps of a level's own model for every row: proof that runs start."""

import dataclasses
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from resparse import registry
from resparse.artifact import Planned
from resparse.data import PREPARED, load
from resparse.errors import Requeue, RunFailed
from resparse.how import How
from resparse.provenance import provenance
from resparse.record import Run, RunStore
from resparse.runner import with_parents
from resparse.worker import code_of, train_and_commit

_SHORT = {"interval": 2, "begin": 0.0, "end": 2 / 3, "t_end": 1.0}


def shortened(run: Run) -> Run:
    """``run`` with three steps of batch 2 on random images and, if its method moves, one update."""
    base = run.dataset.partition(":")[0]
    dataset = f"random_{base}" if base in ("imagenet", *PREPARED) else run.dataset
    fields = {name: _SHORT.get(name, value) for name, value in run.fields.items()}
    recipe = dataclasses.replace(
        run.recipe, batch_size=2, steps=3, warmup=0, lr_drops=(), lr=min(run.recipe.lr, 0.01)
    )
    return dataclasses.replace(
        run,
        dataset=dataset,
        dataset_sha256=load(dataset, None).sha256,
        fields=registry.resolve_fields(run.method, fields),
        recipe=recipe,
        precision="fp32",
        parent=shortened(run.parent) if run.parent else None,
        start_step=1 if run.parent else 0,
        snapshots=(1,) if run.snapshots else (),
    )


def rehearse(planned: Sequence[Planned], device: str, say: Callable[[str], None]) -> None:
    """Each distinct run: two steps, a checkpoint, a fresh start from it, a third step, evaluation.

    Everything lies in a temporary folder and is discarded. Raises RunFailed where a run did not
    resume, or a method that moves masks did not move them.
    """
    labels: dict[str, list[str]] = {}
    for item in planned:
        labels.setdefault(shortened(item.run).key, []).append(item.label)
    runs = with_parents([shortened(p.run) for p in planned])
    with tempfile.TemporaryDirectory() as folder:
        store, facts = RunStore(Path(folder)), provenance()
        for run in runs:
            began = time.monotonic()
            how = {
                "data_root": None,
                "how": How(device=device),
                "provenance": facts,
                "code": code_of(run),
            }
            try:
                train_and_commit(run, store, stop_after=2, **how)  # type: ignore[arg-type]
            except Requeue:
                pass
            else:
                raise RunFailed(f"rehearsal of {run.method}: it did not stop at its checkpoint")
            record = train_and_commit(run, store, **how)  # type: ignore[arg-type]
            events = (store.folder(run).path / "events.jsonl").read_text()
            if '"event":"resumed"' not in events:
                raise RunFailed(f"rehearsal of {run.method}: it did not resume from its checkpoint")
            moves = "interval" in run.fields
            updates = record.outcome["updates"]
            if moves != (updates > 0):
                raise RunFailed(f"rehearsal of {run.method}: {updates} mask updates in 3 steps")
            nnz = sum(record.outcome["nnz"].values())
            say(
                f"rehearsed {', '.join(dict.fromkeys(labels.get(run.key, ['a parent'])))} "
                f"({run.method}, density {run.density}): {run.model}, 3 steps, "
                f"{updates} update, checkpoint, resume, evaluation; {nnz:,} of "
                f"{record.outcome['maskable']:,} weights; {time.monotonic() - began:.1f} s"
            )
