"""The exact expectation of R_s under random growth, and how far a run is from it."""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

Growth = Mapping[str, tuple[int, int]]  # per layer: k weights grown, C candidates


class Expectation(NamedTuple):
    """Mean and standard deviation of R_s over all random masks."""

    mean: float
    std: float

    def z(self, observed: float) -> float:
        """Distance in standard deviations; 0 where R_s cannot vary and is met exactly."""
        if self.std < 1e-8:
            return 0.0 if abs(observed - self.mean) < 1e-9 else math.inf
        return (observed - self.mean) / self.std


def expected_explored(
    counts: Mapping[str, int], sizes: Mapping[str, int], updates: Iterable[Growth]
) -> Expectation:
    """R_s after ``updates`` that grow uniformly at random, layers independent.

    A weight never active so far stays so with probability 1 - k/C at each update, a pair with
    (C-k)(C-k-1)/(C(C-1)). ITOP defines R_s (section 3, equation 1); the recursion is ours.

    >>> rs = expected_explored({"fc": 2}, {"fc": 4}, [{"fc": (1, 3)}])  # 1 - 2/4 * 2/3
    >>> round(rs.mean, 9), round(rs.std, 9)  # 3/4 in two cases of three, else 2/4
    (0.666666667, 0.11785113)
    """
    one = {n: 1.0 - counts[n] / sizes[n] for n in sizes}
    two = {n: _pair(sizes[n], counts[n]) for n in sizes}
    for update in updates:
        for name, (k, candidates) in update.items():
            if candidates > 0:
                one[name] *= 1.0 - k / candidates
                two[name] *= _pair(candidates, k)
    total = sum(sizes.values())
    variance = sum(
        max(0.0, n * one[x] + n * (n - 1) * two[x] - (n * one[x]) ** 2) for x, n in sizes.items()
    )
    mean = 1.0 - sum(sizes[x] * one[x] for x in sizes) / total
    return Expectation(mean, math.sqrt(variance) / total)


def _pair(candidates: int, k: int) -> float:
    """Probability that two given candidates are both left out when k are chosen."""
    if candidates < 2:
        return 0.0
    return (candidates - k) * (candidates - k - 1) / (candidates * (candidates - 1))
