"""Dense training: every weight, the reference of every table."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from resparse.method import Method, require


@dataclass(kw_only=True)
class Dense(Method):
    """All masks are full and never move."""

    grads: ClassVar[Literal["never", "update", "always"]] = "never"

    def check(self) -> None:
        """Dense means density 1 in every layer."""
        for name, density in self.densities.items():
            require(density == 1.0, f"density of layer {name}", density, "1 for method dense")
