"""Made-up records of real runs: every key that a record has, values that a test chooses."""

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
        "masks_sha256": "c" * 64, "weights_sha256": "d" * 64, "train_top1": 99.0, **more,
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
