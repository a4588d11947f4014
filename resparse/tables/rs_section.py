"""The section of a report that holds the printed R_s against protocols."""

import math

from resparse.artifact import Artifact
from resparse.tables.cells import PUBLISHED_SEEDS, Z_LIMIT
from resparse.tables.rs_fit import Fit, conclusions, fit, printed_rs
from resparse.tables.section import Section

HEAD = ("protocol", "steps", "densities", "fitted", "rms", "largest", "beyond rounding and chance")


def sections(artifact: Artifact) -> tuple[Section, ...]:
    """One section where the table's file has readings, else none."""
    if not artifact.readings:
        return ()
    fits = [fit(artifact, reading) for reading in artifact.readings]
    halves = [printed.half_unit for printed in printed_rs(artifact)]
    rounding = math.sqrt(sum(half**2 / 3 for half in halves) / len(halves))  # evenly spread
    notes = (
        *conclusions(fits),
        f"Rounding alone makes an rms of {rounding:.4f}. Chance: {Z_LIMIT:g} standard deviations, "
        f"over masks, of the mean R_s of {PUBLISHED_SEEDS} runs.",
    )
    title = "Which trainings the printed R_s can be of (E-ITOP-09)"
    return (Section(title, HEAD, tuple(_row(f) for f in fits), notes),)


def _row(found: Fit) -> tuple[str, ...]:
    densities = ", ".join(f"{density:.4f}" for density in found.densities.values())
    return (
        found.reading.says,
        f"{found.steps:,}",
        densities,
        str(found.parameters),
        f"{found.rms:.4f}",
        f"{found.worst:.4f}",
        f"{found.beyond} of {len(found.residuals)}",
    )
