"""SNIP, single-shot pruning: a mask from one batch's sensitivity at initialisation, then static.

Lee et al. 2019, equation 5: the largest |w dL/dw| of all layers together, or of each (``scope``).
"""

from dataclasses import dataclass

from resparse.families import RankedBySensitivity


@dataclass(kw_only=True)
class Snip(RankedBySensitivity):
    """Scored on the weights that are trained, unless ``reinit`` says otherwise."""
