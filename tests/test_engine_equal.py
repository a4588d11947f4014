"""The sparse engine trains what the masked one does: masks, weights, R_s, for every method."""

import dataclasses

import pytest
from conftest import METHODS, counts_of, make_run, parent_of

from resparse import precision, registry
from resparse.beginning import start
from resparse.data import digits
from resparse.how import How
from resparse.trainer import train_steps

SPARSE = sorted(set(METHODS) - {"dense"})
# kind, steps: what `nox -s tests` has of every method, and what `nox -s faults` has beside it
TRAININGS = [(name, *how) for how in (("fp32", 20), ("fp64", 100)) for name in SPARSE]
WHOLE = [(name, "fp64", 500) for name in SPARSE]
CLOSE = {"fp64": 1e-9, "fp32": 1e-5}


def mlp_run(method, kind, engine, steps, **changed):
    """A run of the smoke level's MLP; parents are what make_run makes them."""

    def on_mlp(run):
        above = on_mlp(run.parent) if run.parent else None
        return dataclasses.replace(run, model="mlp_small", precision=kind, parent=above)

    moves = "interval" in registry.own_fields(registry.load(method))
    often = {"interval": 20 if kind == "fp64" else 4} if moves else {}
    run = on_mlp(make_run(method, steps=steps, **often))
    return dataclasses.replace(run, engine=engine, **changed)


def trained(run, tmp_path, how, each, changes):
    """The run after its last step; ``each`` is told of the run after every step.

    In fp32, where rounding could part two equal decisions, the second run takes the first's
    ``changes``; in fp64 each decides by itself.
    """
    t = start(run, digits.load(), counts_of(run), parent_of(run, tmp_path), how)
    decide, given = t.method.update_masks, dict(changes) if run.precision == "fp32" else {}

    def update_masks(step, layers):
        changes[step] = given[step] if step in given else decide(step, layers)
        return changes[step]

    t.method.update_masks = update_masks
    each(-1, t)
    for step in train_steps(t, run.recipe.steps):
        each(step, t)
    return t


def relative(one, other):
    return float((one - other).norm() / other.norm())


@pytest.mark.fault
@pytest.mark.long
@pytest.mark.parametrize(("method", "kind", "steps"), WHOLE)
def test_equal_over_500_steps(method, kind, steps, tmp_path):
    test_equal_masks_weights_and_history(method, kind, steps, tmp_path)


@pytest.mark.parametrize(("method", "kind", "steps"), TRAININGS)
def test_equal_masks_weights_and_history(method, kind, steps, tmp_path):
    precision.enter(kind)
    digests, ends, changes = {}, {}, {}
    for engine, how in (("masked", How()), ("sparse", How(crossover=1.0))):
        seen = digests[engine] = []

        def each(step, t, seen=seen):
            seen.append(t.masks.digest())

        ends[engine] = trained(mlp_run(method, kind, engine, steps), tmp_path, how, each, changes)
    masked, sparse = ends["masked"], ends["sparse"]
    assert any(stored.is_packed for stored in sparse.masks.stored.values())
    assert digests["sparse"] == digests["masked"]
    assert sparse.masks.explored() == masked.masks.explored()
    assert sparse.masks.explored(sparse.masks.trained) == masked.masks.explored(
        masked.masks.trained
    )
    found, expected = sparse.model.state_dict(), masked.model.state_dict()
    assert found.keys() == expected.keys()
    for name, weight in expected.items():
        assert relative(found[name], weight) < CLOSE[kind], name
    for name, weight in masked.masks.weights.items():
        moment = masked.optimizer.state[weight]["momentum_buffer"]
        packed = sparse.masks.weights[name]
        other = sparse.masks.dense(packed, sparse.optimizer.state[packed]["momentum_buffer"])
        assert relative(other, moment) < 10 * CLOSE[kind], name
