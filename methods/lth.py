"""LTH, the lottery ticket in one shot: the largest weights of a dense network, from its own start.

Frankle & Carbin 2019, one-shot pruning with the original initialisation; ITOP's "LTH" rows. The
parent is a dense run of the same seed, so that this run draws the same initial weights.
"""

from dataclasses import dataclass

from resparse.families import RankedByParent


@dataclass(kw_only=True)
class Lth(RankedByParent):
    """Global over all layers, unless ``scope`` says convolutions only."""
