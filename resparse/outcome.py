"""What a run is measured by: accuracy per split, and the numbers of its record."""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from resparse import distributed
from resparse.blame import guarded
from resparse.checkpoint import save_tensors
from resparse.data import Data
from resparse.data.memory import InMemory
from resparse.data.order import over_processes
from resparse.errors import RunFailed
from resparse.exploration import Growth, expected_explored
from resparse.flops import forward_flops
from resparse.promises import cost_fault, count_fault
from resparse.record import RunFolder
from resparse.training import Training, model_state


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train()


def correct(t: Training, split: str) -> int:
    """``count_correct`` of a run's own network, one on all processes, and data."""
    distributed.same_buffers(t.model)
    return count_correct(t.model, t.forward, t.data, split)


def count_correct(
    model: nn.Module,
    forward: Callable[[Tensor], Tensor],
    data: Data,
    split: str,
    batch_size: int = 512,
) -> int:
    """Images of ``split`` whose largest logit is their label, of all processes together.

    ``forward`` brings images to logits by ``model``, which is left in training mode. Raises
    RunFailed where the processes did not see as many images as there are: each counts exactly once.
    """
    right, seen = torch.zeros((), dtype=torch.int64), 0
    with _evaluating(model):
        for images, labels in data.eval_batches(split, batch_size):
            logits = forward(images)
            found = (logits.argmax(dim=1) == labels.to(logits.device)).sum()
            right, seen = right.to(found.device) + found, seen + len(labels)
    total, seen = over_processes(int(right), seen)
    if seen != (size := data.size(split)):
        raise RunFailed(
            f"dataset {data.name}, {split}: {seen} images evaluated by all processes together; "
            f"valid: each of its {size} once; mend its eval_batches"
        )
    return total


def end_epoch(t: Training, epoch: int) -> None:
    """Note the epoch's mean loss, R_s and validation score; test where that is the best yet.

    Only epochs at the final density count: a network that is still to be pruned is another one.
    Test images are looked at there and at the end, else only by a run that says so.
    """
    p = t.progress
    p.train_loss.append(t.watch.take() / p.loss_steps)
    p.loss_steps = 0
    p.rs.append(t.masks.explored())
    final = t.announced(p.step - 1) == t.announced(t.run.recipe.steps - 1)
    if t.data.size("val"):
        val = correct(t, "val")
        p.val_top1.append(100.0 * val / t.data.size("val"))
        if val > p.best_val and final:
            p.best_val, p.best_epoch, p.best_test = val, epoch, correct(t, "test")
    if t.run.test_every_epoch:
        tested = correct(t, "test")
        p.test_top1.append(100.0 * tested / t.data.size("test"))
        if tested > p.most_tested and final:
            p.most_tested, p.most_tested_epoch = tested, epoch


def require_promises(
    t: Training, flops: object, dense: float, sparse: Callable[[int], float]
) -> None:
    """Raise RunFailed where the cost or the last density is not what every training's is.

    A run that diverged has not come to its last density.
    """
    p, method = t.progress, t.method
    starts = [step for step, _ in p.forward[1:]]
    wrong = cost_fault(
        method, flops, dense=dense, sparse=sparse, due=starts, first=t.run.start_step
    )
    if wrong is not None:
        raise RunFailed(f"method {t.run.method}: {wrong}")
    last = t.run.recipe.steps - 1
    if p.step <= last:
        return
    missed = count_fault(method, t.masks.nnz(), t.counts, t.announced(last))
    if missed is not None:
        layer = f", layer {missed[0]}" if missed[0] else ""
        raise RunFailed(f"method {t.run.method}, step {last}{layer}: {missed[1]}")


def random_growths(t: Training) -> list[Growth] | None:
    """What the method announces of random growth at each of its updates; None: nothing."""
    with guarded(t.run.method, 0, {}, what="random_growth_at") as at:
        if t.method.random_growth_at(0) is None:
            return None
        growths: list[Growth] = []
        for at.step in (s for s in t.due if s >= t.run.start_step):
            growths.append(t.method.random_growth_at(at.step) or {})
    return growths


def others_of(t: Training) -> list[nn.Parameter]:
    """The parameters that no mask is for."""
    weights = {id(weight) for weight in t.masks.weights.values()}
    return [p for p in t.model.parameters() if id(p) not in weights]


def outcome_of(t: Training, folder: RunFolder) -> dict[str, Any]:
    """Final numbers, all decided by the configuration; writes final.safetensors."""
    p, method, sizes = t.progress, t.method, t.method.sizes
    tensors = model_state(t) | {f"mask/{n}": m for n, m in t.masks.mask.items()}
    weights_sha256 = ""  # of several processes the first writes, and its record counts
    if distributed.first():
        weights_sha256 = save_tensors(folder.path / "final.safetensors", tensors)
    tests, has_val = t.data.size("test"), p.best_val >= 0
    starts = [step for step, _ in p.forward]

    def sparse(step: int) -> float:
        return p.forward[max(bisect_right(starts, step) - 1, 0)][1] * t.run.recipe.batch_size

    dense = forward_flops(t.macs, sizes, sizes)
    with guarded(t.run.method, None, {}, what="train_flops"):
        flops = method.train_flops(dense * t.run.recipe.batch_size, sparse)
    require_promises(t, flops, dense * t.run.recipe.batch_size, sparse)
    outcome: dict[str, Any] = {
        "top1_last": 100.0 * correct(t, "test") / tests,
        "top1_best_val": 100.0 * p.best_test / tests if has_val else None,
        "best_val_epoch": p.best_epoch if has_val else None,
        "rs": t.masks.explored(),
        "rs_trained": t.masks.explored(t.masks.trained),
        "rs_miss": abs(p.found - p.explored) / sum(sizes.values()),
        "rs_fall": p.fall / sum(sizes.values()),
        "nnz": t.masks.nnz(),
        "nnz_change": p.nnz_change,
        "maskable": sum(sizes.values()),
        "total": sum(sizes.values()) + sum(w.numel() for w in others_of(t)),
        "updates": len(p.forward) - 1,
        "dense_forward_flops": dense,
        "test_flops": p.forward[-1][1],
        "train_flops": flops,
        "train_flops_vs_dense": sum(flops.values())
        / (3 * dense * t.run.recipe.batch_size * t.run.recipe.steps),
        "masks_sha256": t.masks.digest(),
        "weights_sha256": weights_sha256,
    }
    if p.test_top1:
        best = 100.0 * p.most_tested / tests if p.most_tested >= 0 else None
        outcome |= {"top1_best_test": best, "best_test_epoch": p.most_tested_epoch or None}
    if isinstance(t.data, InMemory):  # ImageNet's, to be decoded again, would take as an epoch
        outcome["train_top1"] = 100.0 * correct(t, "train") / t.data.size("train")
    first = method.state["starved"].tolist() if "starved" in method.state else []
    starved = dict(zip(sizes, first, strict=False)) | dict.fromkeys(p.starved, True)
    if starved:
        outcome["starved"] = [name for name in sizes if starved.get(name)]
    if (growths := random_growths(t)) is not None:
        expected = expected_explored(method.target_counts(), sizes, growths)
        outcome |= {
            "rs_expected": expected.mean,
            "rs_std": expected.std,
            "rs_z": expected.z(outcome["rs"]),
        }
    return outcome
