"""SET-ITOP: SET that explores to the end, at long intervals and small batches.

Liu et al. 2021 (ITOP), section 4.1 and appendix A: P 0.5, delta T 1500, no tuned end.
"""

from dataclasses import dataclass

from resparse.families import RandomlyExploring


@dataclass(kw_only=True)
class SetItop(RandomlyExploring):
    """ITOP's schedule with SET's rule, from a random mask."""
