"""The expectation of R_s against enumeration, a chain of draws, and simulated SET histories."""

import math
from itertools import combinations, product

import pytest
import reference
import torch

from resparse import registry
from resparse.exploration import Expectation, expected_explored
from resparse.masks import Masks, drop_and_grow, grow_count, top_k


def test_by_hand():
    # fc: 2 of 4 at first, then 1 of 3 candidates: a weight stays out with 1/2 * 2/3 = 1/3.
    # R_s = 2/3. Two out weights both stay out of 1 draw among 3 with 1/3, else one of them comes
    # in: the count of explored weights is 2 or 3 of 4 with 1/3 and 2/3: std = sqrt(2/9)/4.
    result = expected_explored({"fc": 2}, {"fc": 4}, [{"fc": (1, 3)}])
    assert result.mean == pytest.approx(2 / 3)
    assert result.std == pytest.approx(math.sqrt(2 / 9) / 4)


def test_layers_weigh_by_their_size_and_dense_layers_are_explored_from_the_start():
    # a: half of 4; b: all 12. Explored 2 + 12 of 16, no randomness left.
    result = expected_explored({"a": 2, "b": 12}, {"a": 4, "b": 12}, [])
    assert result.mean == pytest.approx(14 / 16)
    assert result.std == pytest.approx(0.0, abs=1e-9)
    # a dense layer whose candidates are just its own dropped weights adds nothing
    again = expected_explored({"a": 2, "b": 12}, {"a": 4, "b": 12}, [{"a": (0, 2), "b": (4, 4)}])
    assert again.mean == pytest.approx(14 / 16)


def enumerate_explored(size, count, drops, regrow_dropped):
    """R_s of every equally likely history; ``drops`` active weights go, those of lowest index."""
    outcomes = {(frozenset(c), frozenset(c)): 1.0 for c in combinations(range(size), count)}
    outcomes = {key: chance / len(outcomes) for key, chance in outcomes.items()}
    for k in drops:
        after = {}
        for (active, ever), chance in outcomes.items():
            kept = active - set(sorted(active)[:k])
            candidates = set(range(size)) - (kept if regrow_dropped else active)
            choices = list(combinations(sorted(candidates), k))
            for grown in choices:
                key = (kept | set(grown), ever | set(grown))
                after[key] = after.get(key, 0.0) + chance / len(choices)
        outcomes = after
    chances = {}
    for (_, ever), chance in outcomes.items():
        chances[len(ever)] = chances.get(len(ever), 0.0) + chance
    return chances


@pytest.mark.parametrize("regrow_dropped", [True, False])
@pytest.mark.parametrize(
    ("size", "count", "drops"), [(4, 2, [1, 1]), (6, 2, [1, 2, 1]), (7, 3, [2, 1]), (5, 3, [2, 2])]
)
def test_mean_and_std_against_all_histories(size, count, drops, regrow_dropped):
    # a second layer of another size checks that layers add up independently
    layers = {"a": (size, count, drops), "b": (5, 2, [1] * len(drops))}
    exact = {name: enumerate_explored(*layer, regrow_dropped) for name, layer in layers.items()}
    outcomes = [
        (pa * pb, (na + nb) / (size + 5))
        for (na, pa), (nb, pb) in product(exact["a"].items(), exact["b"].items())
    ]
    mean = sum(chance * value for chance, value in outcomes)
    std = math.sqrt(sum(chance * (value - mean) ** 2 for chance, value in outcomes))
    updates = [
        {
            name: (ks[i], n - active + (ks[i] if regrow_dropped else 0))
            for name, (n, active, ks) in layers.items()
        }
        for i in range(len(drops))
    ]
    result = expected_explored({"a": count, "b": 2}, {"a": size, "b": 5}, updates)
    assert result.mean == pytest.approx(mean, abs=1e-12)
    assert result.std == pytest.approx(std, abs=1e-9)


def test_against_the_chain_of_draws_at_real_sizes():
    counts, sizes = {"a": 60, "b": 31}, {"a": 400, "b": 64}
    updates = [{"a": (k, 340 + k), "b": (k // 2, 33 + k // 2)} for k in (18, 16, 12, 7, 3)]
    result = expected_explored(counts, sizes, updates)
    mean, std = reference.expected_explored(
        [(sizes[name], counts[name], [update[name] for update in updates]) for name in sizes]
    )
    assert result.mean == pytest.approx(mean, abs=1e-12)
    assert result.std == pytest.approx(std, abs=1e-9)


@pytest.mark.parametrize("regrow_dropped", [True, False])
def test_against_two_thousand_simulated_histories(regrow_dropped):
    size, count, fractions = 30, 7, [0.5, 0.3]
    ks = [grow_count(f, count, size, regrow_dropped=regrow_dropped) for f in fractions]
    growths = [(k, size - count + (k if regrow_dropped else 0)) for k in ks]
    expected = expected_explored({"fc": count}, {"fc": size}, [{"fc": g} for g in growths])
    rng = torch.Generator().manual_seed(11)
    observed = []
    for _ in range(2000):
        mask = top_k(torch.rand(size, generator=rng), count)
        ever = mask
        for fraction in fractions:
            keep, grow = torch.rand(2, size, generator=rng)
            change = drop_and_grow(
                mask, keep, grow, fraction, ties=rng, regrow_dropped=regrow_dropped
            )
            mask = change.mask
            ever = ever | mask
        observed.append(int(ever.sum()) / size)
    values = torch.tensor(observed, dtype=torch.float64)
    z = (float(values.mean()) - expected.mean) / (expected.std / math.sqrt(2000))
    assert abs(z) < 3
    assert float(values.std()) == pytest.approx(expected.std, rel=0.06)
    assert max(abs(expected.z(value)) for value in observed) < 5


@pytest.mark.parametrize("regrow_dropped", [True, False])
def test_set_announces_the_draws_it_makes(regrow_dropped):
    # 40 steps, interval 4, cosine from 0.5: the expectation from random_growth_at against R_s of
    # 60 real runs of the method, weights drawn anew between updates.
    sizes, densities = {"a": 40, "b": 12}, {"a": 0.2, "b": 1.0}
    observed = []
    for seed in range(60):
        rng = torch.Generator().manual_seed(seed)
        method = registry.load("set")(
            densities=densities, sizes=sizes, total_steps=40, rng=rng,
            interval=4, alpha=0.5, regrow_dropped=regrow_dropped,
        )  # fmt: skip
        weights = {n: torch.nn.Parameter(torch.zeros(size)) for n, size in sizes.items()}
        full = {n: torch.ones(size, dtype=torch.bool) for n, size in sizes.items()}
        optimizer = torch.optim.SGD(weights.values(), lr=0.1)
        masks = Masks(weights, method.init_masks(Masks(weights, full).layers(None, optimizer)))
        due = [step for step in range(40) if method.updates_at(step)]
        for step in due:
            for name, weight in weights.items():
                weight.data = torch.rand(sizes[name], generator=rng) * masks.mask[name]
            masks.install(method.update_masks(step, masks.layers(None, optimizer)), optimizer)
        observed.append(masks.explored())
    counts = {"a": 8, "b": 12}
    assert method.target_counts() == counts
    expected = expected_explored(counts, sizes, [method.random_growth_at(step) for step in due])
    values = torch.tensor(observed, dtype=torch.float64)
    z = (float(values.mean()) - expected.mean) / (expected.std / math.sqrt(60))
    assert abs(z) < 3
    assert float(values.std()) == pytest.approx(expected.std, rel=0.25)


def test_z_is_in_standard_deviations_and_strict_where_nothing_can_vary():
    assert Expectation(0.5, 0.1).z(0.75) == pytest.approx(2.5)
    assert Expectation(0.5, 0.1).z(0.4) == pytest.approx(-1.0)
    assert Expectation(1.0, 0.0).z(1.0) == 0.0
    assert Expectation(1.0, 0.0).z(0.999) == math.inf
