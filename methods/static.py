"""Static sparse training: a random mask, drawn once, never moved.

Mocanu et al. 2018 (fixed sparse topology); the "Static" rows of Evci et al. 2020, table in fig. 2.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from resparse.method import Method


@dataclass(kw_only=True)
class Static(Method):
    """The contract's defaults: random exact masks, no updates."""

    grads: ClassVar[Literal["never", "update", "always"]] = "never"
