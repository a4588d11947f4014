"""What every file in methods/ promises the trainer; a new file is tested without being named.

The contract's checks, and what holds of our own methods besides.
"""

import re
import sys
from itertools import pairwise

import pytest
import reference
import torch
from contract import CASES, arrays, build, name_of, run, toy, update_steps, usual

from resparse import registry
from resparse.contract import CHECKS, check
from resparse.contract.run import OPTIMIZERS
from resparse.contract.toy import COUNTS, LONG, PARENT_FLOPS, SIZES, TOTAL, draws, toy_of
from resparse.contract.weights import DENSE_MOMENTUM
from resparse.exploration import expected_explored
from resparse.masks import moments
from resparse.method import Method
from resparse.promises import NEAREST

SHIPPED = ("dense", "static", "rigl", "rigl_itop", "snfs", "set", "set_plus", "set_itop")


def test_every_file_in_methods_is_a_case():
    assert {path.stem for path in registry.methods_folder().glob("[!_]*.py")} <= set(CASES)
    assert len(registry.names()) >= 15


@pytest.mark.parametrize("promise", CHECKS, ids=lambda each: each.name)
@pytest.mark.parametrize("case", CASES)
def test_a_method_keeps(case, promise):
    promise(registry.load(name_of(case)), CASES[case], name=case)


def test_the_whole_list_is_checked_in_its_order_under_a_methods_own_defaults():
    heard = []
    passed = check(
        registry.load("gmp"), {}, name="gmp", progress=lambda *where: heard.append(where)
    )
    assert passed == [each.name for each in CHECKS]
    assert list(dict.fromkeys(name for name, _ in heard)) == passed
    assert {step for _, step in heard} == set(range(-1, LONG))


@pytest.mark.parametrize("case", CASES)
def test_the_toy_leaves_a_short_schedule_as_it_is(case):
    assert toy_of(registry.load(name_of(case)), CASES[case]).fields == CASES[case]


def test_exemptions_are_of_files_that_exist():
    assert {*NEAREST, *DENSE_MOMENTUM} <= {f"resparse.methods.{n}" for n in registry.names()}
    assert DENSE_MOMENTUM == ()


@pytest.mark.parametrize("name", registry.names())
def test_the_docstring_names_authors_and_year(name):
    text = sys.modules[registry.load(name).__module__].__doc__
    if name == "dense":  # no paper's invention
        return
    assert re.search(r"[A-Z][a-z]+ (& [A-Z]\w+ |et al\. )\d{4}", text), text


@pytest.mark.parametrize("case", CASES)
def test_counts_are_announced_also_in_hindsight(case):
    done = usual(case)
    announced = [done.method.nnz_at(step) for step in range(-1, TOTAL)]
    if isinstance(announced[0], int):  # the total alone is bound
        assert [sum(counts.values()) for counts in done.counts] == announced
    else:
        assert done.counts == announced


@pytest.mark.parametrize("name", registry.names())
def test_a_global_budget_is_announced_before_the_ranking_is_known(name):
    before = build(name).nnz_at(-1)
    done = run(name, [])
    if done.method.budget == "global":
        assert before == sum(COUNTS.values())
    else:
        assert before == done.counts[0]


@pytest.mark.parametrize("case", CASES)
def test_masks_that_never_grow_are_nested_and_those_of_no_update_stand_still(case):
    done = usual(case)
    totals = [sum(counts.values()) for counts in done.counts]
    assert all(after <= before for before, after in pairwise(totals))
    if totals[-1] < totals[0]:  # a pruning method
        for before, after in pairwise(done.history):
            assert all(not (after[name] & ~before[name]).any() for name in after)
        assert done.masks.explored() == reference.explored([arrays(done.history[0])])
    if type(done.method).updates_at is Method.updates_at:
        assert len(done.history) == 1
        assert done.method.update_masks(3, {}) == {}
        assert done.method.grads == "never"
    else:
        assert len(done.history) >= 4
        assert len({arrays(mask)["fc1"].tobytes() for mask in done.history}) > 1


@pytest.mark.parametrize("case", CASES)
def test_masks_differ_by_seed_just_where_they_are_drawn(case):
    first, other = (usual(case, seed) for seed in (0, 1))
    drew = first.drew_at is not None
    sparse = first.counts[0] != SIZES or len(first.history) > 1
    assert (first.masks.digest() != other.masks.digest()) == (drew and sparse)
    if name_of(case) in ("ltr", "gmp", "lth", "snip", "small_dense"):
        assert not drew  # nothing random in them
    elif name_of(case) in SHIPPED:
        assert drew


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("case", CASES)
def test_weights_train_with_moments_and_grow_from_zero(case, optimizer):
    done = run(case, [], optimizer=optimizer)
    for step, data in enumerate(draws()):
        before = dict(done.masks.mask)
        done.step(step, data)
        for name, weight in done.weights.items():
            tensors = list(moments(done.optimizer, weight))
            assert len(tensors) == (2 if optimizer == "AdamW" else 1) or (step == 0 and not tensors)
            grown = done.masks.mask[name] & ~before[name]
            for tensor in (weight, *tensors):
                assert bool((tensor[grown] == 0).all()), (step, name)
    assert all(bool((w[done.masks.mask[n]] != 0).any()) for n, w in done.weights.items())


RANDOM = [case for case in CASES if build(case).random_growth_at(0) is not None]


@pytest.mark.parametrize("case", RANDOM)
def test_the_expectation_of_the_explored_share_is_the_references(case):
    done = usual(case)
    assert done.masks.explored() == reference.explored([arrays(mask) for mask in done.history])
    growths = [done.method.random_growth_at(step) for step in update_steps(done.method)]
    counts = done.counts[0]
    layers = [(size, counts[n], [growth[n] for growth in growths]) for n, size in SIZES.items()]
    mean, std = reference.expected_explored(layers)
    expected = expected_explored(counts, SIZES, growths)
    assert expected.mean == pytest.approx(mean, abs=1e-12)
    assert expected.std == pytest.approx(std, abs=1e-7)
    assert abs(done.masks.explored() - mean) <= 4 * std + 1e-9


def cost_at(step):
    """Forward FLOPs under the masks after a step: they differ from update to update."""
    return 10.0 + step % 7


@pytest.mark.parametrize("case", CASES)
def test_training_flops_are_the_papers_formula(case):
    """3 f_S a step, 2 f_S + f_D where the weights' gradient is dense; each mask for its steps."""
    method, dense = build(case), 100.0
    first = method.parent.step if method.parent else 0
    assert first == toy(case).start
    # the masks a step trains are those of the last update before it
    last, forward = first - 1, []
    for step in range(first, TOTAL):
        forward.append(cost_at(last))
        last = step if method.updates_at(step) else last
    cost = [3 * f for f in forward]
    name = name_of(case)
    if method.grads == "always":
        cost = [2 * f + dense for f in forward]
    elif name in ("rigl", "rigl_itop"):  # appendix H's mean over an interval
        every = method.interval
        cost = [(3 * f * every + 2 * f + dense) / (every + 1) for f in forward]
    elif method.grads == "update":
        cost = [3 * f + (dense - f) * method.updates_at(s) for s, f in enumerate(forward, first)]
    parts = method.train_flops(dense, cost_at)
    assert parts["train"] == pytest.approx(sum(cost))
    assert parts["train"] >= 3 * sum(forward) - 1e-9
    assert parts["parent"] == (PARENT_FLOPS if method.needs_parent else 0.0)
    assert parts["init"] == (3 * dense if method.scores_at_init else 0.0)


def test_torchs_own_stream_is_as_it_was():
    before = torch.get_rng_state()
    check(registry.load("snip_set_itop"), {}, name="snip_set_itop")
    assert torch.equal(torch.get_rng_state(), before)
