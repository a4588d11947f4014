"""Made-up records of real runs: every key that a record has, values that a test chooses."""

from dataclasses import replace

from resparse import artifact, kept
from resparse.record import Record
from resparse.worker import code_of

PROVENANCE = {
    "command": "resparse reproduce itop/table1",
    "cuda": "none",
    "device": "cpu",
    "git_dirty": False,
    "git_sha": "a" * 40,
    "lock_sha256": "b" * 64,
    "python": "3.11.7",
    "torch": "2.13.0",
    "wall_s": 2.5,
}


def outcome(top1, rs=0.2, **more):
    """An outcome of one layer of ten weights."""
    return {
        "top1_last": top1, "top1_best_val": top1 - 1, "best_val_epoch": 3, "rs": rs,
        "rs_trained": rs, "nnz": {"fc": 2}, "maskable": 10, "total": 11, "updates": 4,
        "dense_forward_flops": 20.0, "test_flops": 4.0,
        "train_flops": {"init": 0.0, "train": 12.0, "parent": 0.0}, "train_flops_vs_dense": 0.2,
        "masks_sha256": "c" * 64, "weights_sha256": "d" * 64, "train_top1": 99.0,
        "top1_best_test": top1 + 1, "best_test_epoch": 2, **more,
    }  # fmt: skip


def made_record(run, top1=90.0, **changes):
    """The record of ``run``, with today's code unless said otherwise; ``changes`` are of fields."""
    values = {
        "key": run.key,
        "config": run.config,
        "fingerprint": code_of(run),
        "status": "completed",
        "reason": "",
        "outcome": outcome(top1),
        "curves": {"rs": [0.1, 0.2], "train_loss": [1.5, 0.25], "val_top1": [50.0, 88.0]},
        "provenance": PROVENANCE,
    }
    return Record(**values | changes)


HOSTILE = "<script>window.bad = 1</script>&\"'|_%"
SVG = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">{HOSTILE[:31]}</svg>'
IMAGES = "5" * 64


def planned(name, level, seeds=(0, 1, 2)):
    """The runs of a table by row, sparsity and seed, on one made-up version of its images."""
    runs = artifact.plan(artifact.load(name), level, IMAGES, seeds=seeds)
    return {(item.label, item.sparsity, item.run.seed): item.run for item in runs}


def reports(out):
    """A folder of reports: Table 1 at smoke with all that may be wrong, and parts of Figure 3.

    Of Table 1 one run diverged, one was made by other code and one is missing; of Figure 3's MLP a
    row is missing at smoke, and mini has one row; a record is of a run that no table has.
    """
    made = []
    for (label, _, seed), run in planned("itop/table1", "smoke").items():
        place = (label, seed)
        if place == ("P 0.5 interval 15000", 2):
            continue
        changes = {}
        if place == ("P 0.9 interval 15000", 1):
            changes = {"status": "diverged", "reason": HOSTILE}
        if place == ("P 0.5 interval 3000", 0):
            changes = {"fingerprint": "0" * 16}
        if place == ("P 0.1 interval 3000", 0):
            changes = {"provenance": PROVENANCE | {"device": HOSTILE}}
        made.append(made_record(run, 60.0 + seed, **changes))
    for (label, sparsity, seed), run in planned("itop/panels/figure3_mlp", "smoke").items():
        if (label, sparsity, seed) == ("SET interval 100", 0.8, 1):  # in its first epoch
            numbers = {k: v for k, v in outcome(10.0).items() if "best_test" not in k}
            made.append(made_record(run, status="diverged", reason="loss", outcome=numbers))
        elif label != "SET interval 800":
            made.append(made_record(run, 90.0 + seed - 10 * sparsity))
    made.append(made_record(replace(made[0].run, seed=77)))
    kept.merge(kept.file(out, "itop", "smoke"), made)
    mini = planned("itop/panels/figure3_mlp", "mini")
    some = [made_record(run, 50.0) for (label, *_), run in mini.items() if label == "Static"]
    kept.merge(kept.file(out, "itop", "mini"), some)
    (out / "itop" / "figure3.svg").write_text(SVG)
    return out
