"""SNIP-SET-ITOP: SNIP's mask at the start (Lee et al. 2019), then SET-ITOP's exploration.

Liu et al. 2021 (ITOP), section 5 and appendix C: exploration added to pruning at initialisation.
"""

from dataclasses import dataclass

from resparse.families import RandomlyExploring, RankedBySensitivity


@dataclass(kw_only=True)
class SnipSetItop(RandomlyExploring, RankedBySensitivity):
    """Each layer keeps the count that SNIP's ranking gave it."""
