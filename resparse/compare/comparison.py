"""Records of a method and of the baselines -> how it stands beside each, setting by setting."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from resparse.compare.contest import Pairs, Result, at_cost, compare_pairs
from resparse.compare.panel import Entry

Setting = tuple[str, float]  # workload, sparsity


@dataclass(frozen=True, kw_only=True)
class Found:
    """One finished run of the panel."""

    entry: Entry
    status: str
    outcome: dict[str, Any]

    @property
    def setting(self) -> Setting:
        """Workload and sparsity."""
        return self.entry.workload, self.entry.sparsity

    @property
    def cost(self) -> float:
        """FLOPs of the whole training, scoring and the parent's included."""
        return float(sum(self.outcome["train_flops"].values()))


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What one entrant reached in one setting at one length: means over its seeds."""

    label: str
    setting: Setting
    length: float
    seeds: int
    top1: float
    std: float
    rs: float
    rs_trained: float
    train_flops_vs_dense: float  # of dense training at length 1
    parent_flops_vs_dense: float  # the part of it that a parent run cost
    test_flops_vs_dense: float
    nnz: float
    maskable: int
    unstable: int  # runs that diverged or collapsed; they are in the mean
    keys: tuple[str, ...]  # of its runs


@dataclass(frozen=True, kw_only=True)
class Line:
    """The method beside one baseline: in one setting, or (None) over all of them."""

    baseline: str
    setting: Setting | None
    steps: Result
    flops: Result | None
    flops_settings: tuple[int, int]  # those that the comparison at equal FLOPs rests on, of all
    flops_note: str  # which it does not rest on, or why there is none


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Everything a page says in numbers."""

    label: str
    seeds: tuple[int, ...]
    tries: int
    overall: list[Line]
    each: list[Line]
    summaries: list[Summary]


def compare(
    ours: Sequence[Found], baselines: Sequence[Found], *, margin: float, tries: int
) -> Comparison:
    """All comparisons: one family of tests over the whole panel, one over its settings.

    ``ours`` are the method's runs at length 1, ``baselines`` those of all lengths, on the same
    seeds. Raises ValueError where a seed or a setting is missing on one side.
    """
    label, seeds = ours[0].entry.label, sorted({f.entry.run.seed for f in ours})
    settings = list(dict.fromkeys(f.setting for f in ours))
    labels = list(dict.fromkeys(f.entry.label for f in baselines))
    mine = {setting: _by_seed(ours, setting, label, 1.0, seeds) for setting in settings}
    steps: dict[tuple[str, Setting], Pairs] = {}
    flops: dict[tuple[str, Setting], Pairs | str] = {}
    for name in labels:
        for setting in settings:
            at_length = {
                length: _by_seed(baselines, setting, name, length, seeds)
                for length in _lengths(baselines, name, setting)
            }
            top1 = [_top1(f) for f in mine[setting]]
            steps[name, setting] = Pairs(top1, [_top1(f) for f in at_length[1.0]])
            curve = {n: [(f.cost, _top1(f)) for f in runs] for n, runs in at_length.items()}
            theirs = at_cost(curve, float(np.mean([f.cost for f in mine[setting]])))
            flops[name, setting] = theirs if isinstance(theirs, str) else Pairs(top1, theirs)
    return Comparison(
        label=label,
        seeds=tuple(seeds),
        tries=tries,
        overall=_lines(
            [(n, None, [(steps[n, s], flops[n, s]) for s in settings]) for n in labels],
            margin,
            tries,
        ),
        each=_lines(
            [(n, s, [(steps[n, s], flops[n, s])]) for s in settings for n in labels],
            margin,
            tries,
        ),
        summaries=_summaries([*ours, *baselines], settings),
    )


def _lines(
    wanted: Iterable[tuple[str, Setting | None, list[tuple[Pairs, Pairs | str]]]],
    margin: float,
    tries: int,
) -> list[Line]:
    """One family of tests: each line's pairs averaged over its settings, seed by seed."""
    rows = []
    family: list[Pairs] = []
    for baseline, setting, pairs in wanted:
        known = [flops for _, flops in pairs if isinstance(flops, Pairs)]
        why = next((flops for _, flops in pairs if isinstance(flops, str)), "")
        note = why if not known else f"{len(known)} of {len(pairs)} settings; else {why}"
        note = "" if len(known) == len(pairs) else note
        rows.append((baseline, setting, (len(known), len(pairs)), note))
        family.append(_mean([steps for steps, _ in pairs]))
        if known:
            family.append(_mean(known))
    results = iter(compare_pairs(family, margin, tries=tries))
    return [
        Line(
            baseline=baseline,
            setting=setting,
            steps=next(results),
            flops=next(results) if rests_on[0] else None,
            flops_settings=rests_on,
            flops_note=note,
        )
        for baseline, setting, rests_on, note in rows
    ]


def _mean(pairs: Sequence[Pairs]) -> Pairs:
    ours = np.mean([p.ours for p in pairs], axis=0).tolist()
    return Pairs(ours, np.mean([p.theirs for p in pairs], axis=0).tolist())


def _top1(found: Found) -> float:
    return float(found.outcome["top1_last"])


def _lengths(runs: Sequence[Found], label: str, setting: Setting) -> list[float]:
    return sorted({f.entry.length for f in runs if f.entry.label == label and f.setting == setting})


def _by_seed(
    runs: Sequence[Found], setting: Setting, label: str, length: float, seeds: Sequence[int]
) -> list[Found]:
    """One run a seed, in the seeds' order."""
    chosen = {
        f.entry.run.seed: f
        for f in runs
        if f.setting == setting and f.entry.label == label and f.entry.length == length
    }
    missing = [seed for seed in seeds if seed not in chosen]
    if missing:
        raise ValueError(
            f"{label} at length {length:g}, {setting[0]}, sparsity {setting[1]}: no run of seed "
            f"{missing[0]}"
        )
    return [chosen[seed] for seed in seeds]


def _summaries(runs: Sequence[Found], settings: Sequence[Setting]) -> list[Summary]:
    groups: dict[tuple[Setting, str, float], list[Found]] = {}
    for found in runs:
        key = (found.setting, found.entry.label, found.entry.length)
        groups.setdefault(key, []).append(found)
    order = sorted(groups, key=lambda key: settings.index(key[0]))  # stable: entrants as they came
    return [_summary(key, groups[key]) for key in order]


def _summary(key: tuple[Setting, str, float], runs: Sequence[Found]) -> Summary:
    outcomes: list[Mapping[str, Any]] = [f.outcome for f in runs]

    def mean(values: Iterable[float]) -> float:
        return float(np.mean(list(values)))

    dense = [_dense_cost(f) for f in runs]
    return Summary(
        label=key[1],
        setting=key[0],
        length=key[2],
        seeds=len(runs),
        top1=mean(o["top1_last"] for o in outcomes),
        std=float(np.std([o["top1_last"] for o in outcomes], ddof=1)) if len(runs) > 1 else 0.0,
        rs=mean(o["rs"] for o in outcomes),
        rs_trained=mean(o["rs_trained"] for o in outcomes),
        train_flops_vs_dense=mean(f.cost / d for f, d in zip(runs, dense, strict=True)),
        parent_flops_vs_dense=mean(
            f.outcome["train_flops"]["parent"] / d for f, d in zip(runs, dense, strict=True)
        ),
        test_flops_vs_dense=mean(o["test_flops"] / o["dense_forward_flops"] for o in outcomes),
        nnz=mean(sum(o["nnz"].values()) for o in outcomes),
        maskable=int(outcomes[0]["maskable"]),
        unstable=sum(f.status != "completed" for f in runs),
        keys=tuple(f.entry.run.key for f in runs),
    )


def _dense_cost(found: Found) -> float:
    """FLOPs of dense training at length 1 on the same workload."""
    recipe = found.entry.run.recipe
    steps = recipe.steps / found.entry.length
    return 3.0 * float(found.outcome["dense_forward_flops"]) * recipe.batch_size * steps
