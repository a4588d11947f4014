"""What the masks and weights of a training are, whatever the method: counts, zeros, R_s."""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from itertools import pairwise

import torch

from resparse.contract.run import OPTIMIZERS, Run
from resparse.contract.toy import SIZES, TOTAL, Toy, draws, ours
from resparse.errors import ContractBroken
from resparse.exploration import Growth, expected_explored
from resparse.masks import NonFinite, moments
from resparse.promises import count_fault

DENSE_MOMENTUM: tuple[str, ...] = ()  # files in methods/ defined by moments outside the masks
SEEDS = 8  # over which random growth is averaged


def masks_fit(toy: Toy) -> None:
    """Run itself requires it."""
    Run(toy, watch=())


def updates_change_a_mask(toy: Toy) -> None:
    """One update of one layer at least.

    A share that rounds to no weight of the toy may be one of a network: a large toy is asked too.
    """
    for trial in (toy, dataclasses.replace(toy, large=True)):
        run = Run(trial, watch=())
        updates, first = len(run.moved) - 1, run.history[0]
        if not updates or any(
            not torch.equal(mask, first[name]) for m in run.history for name, mask in m.items()
        ):
            return
    raise ContractBroken(
        f"none of its {updates} updates changed a mask of {', '.join(SIZES)}: it trains as static; "
        "valid: masks that move, or updates_at that is never True. Outside the mask momentum is 0, "
        "and drop_and_grow may regrow what it just dropped unless regrow_dropped=False",
        step=run.moved[-1],
    )


def counts_are_announced(toy: Toy) -> None:
    """Per layer, or in total where nnz_at gives one number."""
    run = Run(toy, watch=())
    for step, (counts, said) in enumerate(zip(run.counts, run.announced, strict=True), start=-1):
        pairs: list[tuple[str | None, int, int | None]]
        if isinstance(said, Mapping):
            pairs = [(name, count, said.get(name)) for name, count in counts.items()]
        elif isinstance(said, int):
            pairs = [(None, sum(counts.values()), said)]
        else:
            raise ContractBroken(
                f"nnz_at gave {said!r}; valid: a dict of one count for every layer, or an int "
                "where only the total is bound",
                step=step,
            )
        for name, count, announced in pairs:
            if count != announced:
                raise ContractBroken(
                    f"{count} active weights, {announced} announced by nnz_at; valid: exactly as "
                    "many",
                    step=step,
                    layer=name,
                )


def ends_at_its_budget(toy: Toy) -> None:
    """The density asked for is the last one: per layer, or where that alone is bound in total."""
    run = Run(toy, watch=())
    missed = count_fault(run.method, run.counts[-1], toy.counts, run.announced[0])
    if missed is not None:
        layer, what = missed
        raise ContractBroken(what, step=toy.total - 1, layer=layer)


def no_layer_is_emptied(toy: Toy) -> None:
    """5 weights for 3 layers; a method may refuse so few with a ValueError before training."""
    try:
        Run(dataclasses.replace(toy, scarce=True), watch=())
    except ContractBroken as broken:
        why, before = broken.__cause__, broken.step is None or broken.step < 0
        if before and isinstance(why, ValueError) and not isinstance(why, NonFinite):
            return
        what = f"{broken.what} (tried with 5 weights for 3 layers)"
        raise ContractBroken(what, step=broken.step, layer=broken.layer) from broken


def trained(toy: Toy, *watch: str) -> Iterator[tuple[int, Run]]:
    """Each step of a training by each optimizer, after it was made."""
    for optimizer in OPTIMIZERS:
        run = Run(toy, [], optimizer=optimizer, watch=watch)
        for step, data in enumerate(draws()):
            run.step(step, data)
            yield step, run


def nothing_outside_the_masks(toy: Toy) -> None:
    """Neither weights nor moments, by any optimizer."""
    for step, run in trained(toy, "streams", "twice"):
        for name, weight in run.weights.items():
            outside = ~run.masks.mask[name]
            past = [] if ours(toy.cls, *DENSE_MOMENTUM) else moments(run.optimizer, weight)
            for what, tensor in (("weights", weight), *(("momentum", m) for m in past)):
                if bool((tensor[outside] != 0).any()):
                    raise ContractBroken(
                        f"{what} outside the mask are not 0; valid: the trainer alone writes them",
                        step=step,
                        layer=name,
                    )


def grown_weights_start_at_zero(toy: Toy) -> None:
    """Without a past; where ``reset`` says so, also those that were active before."""
    for step, run in trained(toy):
        if run.moved[-1] != step:
            continue
        for name, change in run.changes.items():
            new = run.history[-1][name] & ~run.history[-2][name]
            reset = new if change.reset is None else change.reset | new
            for tensor in (run.weights[name], *moments(run.optimizer, run.weights[name])):
                if bool((tensor[reset] != 0).any()):
                    raise ContractBroken(
                        "weights that have just grown do not start at 0 with momentum 0; valid: "
                        "the trainer alone writes them",
                        step=step,
                        layer=name,
                    )


def pruned_weights_stay_pruned(toy: Toy) -> None:
    """Where the total only shrinks and nothing is said of growth, by gradients or at random."""
    run = Run(toy, watch=())
    totals = [sum(counts.values()) for counts in run.counts]
    shrinks = totals[-1] < totals[0] and all(b <= a for a, b in pairwise(totals))
    grows = run.method.grads != "never" or growth_at(run, 0) is not None
    if not shrinks or grows:
        return
    for step, (before, after) in zip(run.moved[1:], pairwise(run.history), strict=True):
        for name, mask in after.items():
            count = int((mask & ~before[name]).sum())
            if count:
                raise ContractBroken(
                    f"{count} pruned weights return though the total only shrinks; valid: masks "
                    "inside those before, or growth that grads or random_growth_at declare",
                    step=step,
                    layer=name,
                )


def explored_is_the_union(toy: Toy) -> None:
    """R_s counts the weights of all masks that were installed, and no others."""
    run = Run(toy, [], watch=())
    for step, data in enumerate(draws()):
        run.step(step, data)
        for name, ever in run.masks.ever.items():
            union = torch.stack([masks[name] for masks in run.history]).any(dim=0)
            if not torch.equal(ever, union):
                raise ContractBroken(
                    f"{int(ever.sum())} weights count as ever active, {int(union.sum())} were in "
                    "its masks; valid: the trainer alone writes what was ever active",
                    step=step,
                    layer=name,
                )


def growth_at(run: Run, step: int) -> Growth | None:
    """What the method announces of random growth at a step."""
    return run.ask(step, "random_growth_at", {}, lambda: run.method.random_growth_at(step))


def random_growth_is_announced(toy: Toy) -> None:
    """Never more explored than announced, and R_s within 4 standard deviations of its expectation.

    Of each run over all layers, and of each layer over all seeds.
    """
    apart = dict.fromkeys(SIZES, 0.0)
    for seed in range(SEEDS):
        run = Run(toy, seed=seed, watch=())
        if growth_at(run, 0) is None:
            return
        growths = [_announced(run, index) for index in range(1, len(run.moved))]
        counts = run.counts[0]
        _require_z(expected_explored(counts, SIZES, growths).z(run.masks.explored()), None)
        for name, size in SIZES.items():
            mine = [{name: growth[name]} for growth in growths if name in growth]
            seen = run.masks.explored({name: run.masks.ever[name]})
            apart[name] += expected_explored({name: counts[name]}, {name: size}, mine).z(seen)
    for name, total in apart.items():
        _require_z(total / math.sqrt(SEEDS), name)


def _announced(run: Run, index: int) -> Growth:
    """The announcement for an update; ContractBroken where more grew for the first time."""
    step, after = run.moved[index], run.history[index]
    growth = growth_at(run, step) or {}
    for name, size in SIZES.items():
        k, candidates = growth.get(name, (0, 0))
        ever = torch.stack([masks[name] for masks in run.history[:index]]).any(dim=0)
        fresh = int((after[name] & ~ever).sum())
        if not fresh <= k <= candidates <= size:
            raise ContractBroken(
                f"{fresh} weights grew for the first time, random_growth_at announced {k} of "
                f"{candidates}; valid: all that may grow, of candidates among the {size}",
                step=step,
                layer=name,
            )
    return growth


def _require_z(z: float, layer: str | None) -> None:
    if not abs(z) <= 4.0:
        raise ContractBroken(
            f"R_s is {z:.1f} standard deviations from what random_growth_at implies; valid: 4 at "
            "most, with growth uniform over the announced candidates",
            step=TOTAL - 1,
            layer=layer,
        )
