"""What every file in methods/ promises the trainer; a new file is tested without being named.

``contract.Run`` watches each call besides: nothing it is shown is written, torch's generator
stays, masks are boolean, and an update that is asked twice answers twice the same.
"""

import re
import sys
from itertools import pairwise

import numpy as np
import pytest
import reference
from contract import (
    CASES,
    COUNTS,
    OPTIMIZERS,
    PARENT_FLOPS,
    SIZES,
    TOTAL,
    Run,
    build,
    draws,
    update_steps,
)

from resparse import registry
from resparse.masks import moments
from resparse.method import Method

NEAREST = ("small_dense",)  # its counts are those of whole channels, as near the budget as can be
SHIPPED = ("dense", "static", "rigl", "rigl_itop", "snfs", "set", "set_plus", "set_itop")
DENSE_MOMENTUM = ()  # methods whose definition needs moments outside the masks; none so far


def test_every_file_in_methods_is_a_case():
    assert {path.stem for path in registry.methods_folder().glob("[!_]*.py")} <= set(CASES)
    assert len(registry.names()) >= 15


@pytest.mark.parametrize("name", registry.names())
def test_the_docstring_cites_its_source(name):
    cls = registry.load(name)
    text = sys.modules[cls.__module__].__doc__
    if name == "dense":  # no paper's invention
        return
    assert re.search(r"[A-Z][a-z]+ (& [A-Z]\w+ |et al\. )\d{4}", text), text
    assert cls.__doc__
    assert not cls.__doc__.startswith(cls.__name__ + "(")  # what dataclass writes where none is


@pytest.mark.parametrize("case", CASES)
def test_counts_are_announced_exactly_at_every_step(case):
    run = Run(build(case), draws())
    announced = [run.method.nnz_at(step) for step in range(-1, TOTAL)]
    total = isinstance(announced[0], int)  # it alone is bound: a global budget, a variant's
    if total:
        assert [sum(counts.values()) for counts in run.counts] == announced
    else:
        assert run.counts == announced
    last = run.counts[-1]
    if case == "dense":
        assert last == SIZES
    elif run.method.budget == "layer" and not total:
        assert last == COUNTS
    elif case not in NEAREST:
        assert sum(last.values()) == sum(COUNTS.values())
    assert all(count > 0 for counts in run.counts for count in counts.values())


@pytest.mark.parametrize("name", registry.names())
def test_a_global_budget_is_announced_before_the_ranking_is_known(name):
    method = build(name)
    before = method.nnz_at(-1)
    if method.budget == "global":
        assert before == sum(COUNTS.values())
    else:
        assert before == Run(method, []).counts[0]


@pytest.mark.parametrize("case", CASES)
def test_masks_that_never_grow_are_nested_and_those_of_no_update_stand_still(case):
    run = Run(build(case), draws())
    totals = [sum(counts.values()) for counts in run.counts]
    assert all(after <= before for before, after in pairwise(totals))
    if totals[-1] < totals[0]:  # a pruning method
        for before, after in pairwise(run.history):
            assert all(not (after[name] & ~before[name]).any() for name in after)
        assert run.masks.explored() == reference.explored(run.history[:1])
    if type(run.method).updates_at is Method.updates_at:
        assert len(run.history) == 1
        assert run.method.update_masks(3, {}) == {}
        assert run.method.grads == "never"
    else:
        assert len(run.history) >= 4
        assert len({mask["fc1"].tobytes() for mask in run.history}) > 1


@pytest.mark.parametrize("case", CASES)
def test_the_same_seed_gives_the_same_masks_and_another_seed_others(case):
    data = draws()
    first, second, third = (Run(build(case), data, seed=seed) for seed in (0, 0, 1))
    assert first.masks.digest() == second.masks.digest()
    sparse = first.counts[0] != SIZES or len(first.history) > 1
    assert (first.masks.digest() != third.masks.digest()) == (first.drew and sparse)
    if case.split("-")[0] in ("ltr", "gmp", "lth", "snip", "small_dense"):
        assert not first.drew  # nothing random in them
    elif case.split("-")[0] in SHIPPED:
        assert first.drew


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("case", CASES)
def test_nothing_lies_outside_the_masks_in_weights_or_moments(case, optimizer):
    run = Run(build(case), [], optimizer=optimizer)
    for step, data in enumerate(draws()):
        run.step(step, data)
        for name, weight in run.weights.items():
            outside = ~run.masks.mask[name]
            assert bool((weight[outside] == 0).all()), (step, name)
            tensors = list(moments(run.optimizer, weight))
            assert len(tensors) == (2 if optimizer == "AdamW" else 1) or (step == 0 and not tensors)
            for moment in tensors:
                if case not in DENSE_MOMENTUM:
                    assert bool((moment[outside] == 0).all()), (step, name)
    assert all(bool((w[run.masks.mask[n]] != 0).any()) for n, w in run.weights.items())


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("case", CASES)
def test_weights_that_grow_start_at_zero_without_a_past(case, optimizer):
    run = Run(build(case), [], optimizer=optimizer)
    for step, data in enumerate(draws()):
        before = run.masks.mask | {}
        run.step(step, data)
        for name, weight in run.weights.items():
            grown = run.masks.mask[name] & ~before[name]
            for tensor in (weight, *moments(run.optimizer, weight)):
                assert bool((tensor[grown] == 0).all()), (step, name)


@pytest.mark.parametrize("case", CASES)
def test_the_explored_share_is_the_union_of_masks_and_as_expected(case):
    zs = []
    for seed in range(8):
        run = Run(build(case), draws(), seed=seed)
        assert run.masks.explored() == reference.explored(run.history)
        if run.method.random_growth_at(0) is None:
            continue
        growths = [run.method.random_growth_at(step) for step in update_steps(run.method)]
        layers = [
            (size, run.counts[0][name], [growth[name] for growth in growths])
            for name, size in SIZES.items()
        ]
        mean, std = reference.expected_explored(layers)
        assert abs(run.masks.explored() - mean) <= 4 * std + 1e-9
        zs.append((run.masks.explored() - mean) / (std or 1.0))
    assert abs(np.sum(zs)) <= 4 * np.sqrt(8)


def cost_at(step):
    """Forward FLOPs under the masks after a step: they differ from update to update."""
    return 10.0 + step % 7


@pytest.mark.parametrize("case", CASES)
def test_training_flops_lie_between_the_sparse_and_the_dense_cost(case):
    method, dense = build(case), 100.0
    parts = method.train_flops(dense, cost_at)
    assert set(parts) == {"init", "train", "parent"}
    steps = TOTAL - (method.parent.step if method.parent else 0)
    forward = method.mean_forward(cost_at)
    assert 3 * forward * steps - 1e-9 <= parts["train"] <= 3 * dense * steps
    assert parts["parent"] == (PARENT_FLOPS if method.needs_parent else 0.0)
    assert parts["init"] == (3 * dense if method.scores_at_init else 0.0)


@pytest.mark.parametrize("case", CASES)
def test_training_flops_are_the_papers_formula(case):
    """3 f_S a step, 2 f_S + f_D where the weights' gradient is dense; each mask for its steps."""
    method, dense = build(case), 100.0
    # the masks a step trains are those of the last update before it
    last, forward = -1, []
    for step in range(TOTAL):
        forward.append(cost_at(last))
        last = step if method.updates_at(step) else last
    cost = [3 * f for f in forward]
    name = case.split("-")[0]
    if method.grads == "always":
        cost = [2 * f + dense for f in forward]
    elif name in ("rigl", "rigl_itop"):  # appendix H's mean over an interval
        every = method.interval
        cost = [(3 * f * every + 2 * f + dense) / (every + 1) for f in forward]
    elif method.grads == "update":
        cost = [3 * f + (dense - f) * method.updates_at(s) for s, f in enumerate(forward)]
    first = method.parent.step if method.parent else 0
    expected = sum(cost) * (TOTAL - first) / TOTAL
    assert method.train_flops(dense, cost_at)["train"] == pytest.approx(expected)
