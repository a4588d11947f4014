"""LTH-SET-ITOP: the one-shot ticket (Frankle & Carbin 2019), then SET-ITOP's exploration.

Liu et al. 2021 (ITOP), section 5 and appendix C: exploration added to the ticket.
"""

from dataclasses import dataclass

from resparse.families import RandomlyExploring, RankedByParent


@dataclass(kw_only=True)
class LthSetItop(RandomlyExploring, RankedByParent):
    """Each layer keeps the count that the ranking gave it."""
