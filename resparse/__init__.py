"""resparse: whether what the literature says of sparse training holds, number by number."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resparse.api import records, run

__version__ = "0.1.0"
__all__ = ["__version__", "records", "run"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """``run`` and ``records``, loaded when they are first used: torch takes seconds."""
        if name in ("run", "records"):
            from resparse import api

            return getattr(api, name)
        raise AttributeError(f"module 'resparse' has no attribute {name!r}")
