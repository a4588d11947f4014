"""The fast selection against sorting everything, on layers large enough to be sampled."""

import pytest
import torch

from resparse import selection
from resparse.selection import NonFinite, best, top_k

SIZE = 40_000  # above the size from which a sample guesses where to look

SCORES = {
    "normal": lambda rng: torch.randn(SIZE, generator=rng),
    "few values": lambda rng: torch.randint(0, 5, (SIZE,), generator=rng).float(),
    "mostly zero": lambda rng: torch.rand(SIZE, generator=rng).sub(0.9).clamp(min=0.0),
    "all equal": lambda rng: torch.ones(SIZE),
    "sorted": lambda rng: torch.arange(SIZE).float(),
    "infinite": lambda rng: torch.randn(SIZE, generator=rng).div(0.0),
    "large where sampled": lambda rng: (torch.arange(SIZE) % 97 == 0).float(),
}
POOLS = {"all": None, "a tenth": 0.1, "nearly all": 0.97, "five": 5 / SIZE}


def by_sorting(score, k, pool, ties):
    """The k highest of ``pool`` (places): sorted by score, then by place or a permutation."""
    order = pool[score[pool].sort(descending=True, stable=True).indices]
    if k and ties is not None:
        last = score[order[k - 1]]
        tied = pool[score[pool] == last]
        tied = tied[torch.randperm(len(tied), generator=ties)]
        order = torch.cat([pool[score[pool] > last], tied])
    chosen = torch.zeros(len(score), dtype=torch.bool)
    chosen[order[:k]] = True
    return chosen


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("lowest", [False, True])
@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("kind", SCORES)
def test_selection_is_sorting_with_the_same_draws(kind, pool, lowest, absolute):
    rng = torch.Generator().manual_seed(3)
    score, among = SCORES[kind](rng), None
    if POOLS[pool] is not None:
        among = torch.rand(SIZE, generator=rng) < POOLS[pool]
        among[:2] = True
    places = torch.arange(SIZE) if among is None else among.nonzero().squeeze(1)
    n = len(places)
    for k in sorted({0, 1, 2, n // 40, n // 3, n // 2, n // 2 + 1, n - n // 50, n - 1, n}):
        for seed in (None, 7):
            ours, theirs = (
                None if seed is None else torch.Generator().manual_seed(seed) for _ in range(2)
            )
            size = score.abs() if absolute else score
            expected = by_sorting(-size if lowest else size, k, places, theirs)
            found = best(score, k, among, n, ties=ours, lowest=lowest, absolute=absolute)
            assert torch.equal(found, expected), (k, seed)
            if seed is not None:
                assert torch.equal(ours.get_state(), theirs.get_state()), k


@pytest.mark.parametrize("k", [1000, SIZE - 1000])
def test_few_scores_are_ranked_where_few_are_chosen_or_left_out(k, monkeypatch):
    seen, find = [], selection._outermost

    def spy(*arguments):
        places, values = find(*arguments)
        seen.append(len(values))
        return places, values

    monkeypatch.setattr(selection, "_outermost", spy)
    score = torch.randn(SIZE, generator=torch.Generator().manual_seed(0))
    assert int(top_k(score, k).sum()) == k
    assert len(seen) == 1
    assert 1000 <= seen[0] <= SIZE // 10


def test_a_nan_is_found_among_the_candidates_alone():
    score, among = torch.zeros(SIZE), torch.zeros(SIZE, dtype=torch.bool)
    among[::2] = True
    score[1::2] = float("nan")
    assert int(top_k(score, 9, among=among).sum()) == 9
    score[12] = float("nan")
    for k in (0, 9, SIZE // 2):  # also where nothing is to be chosen
        with pytest.raises(NonFinite, match="NaN"):
            top_k(score, k, among=among)
