"""A comparison as CSV: a table of differences, one of what each method reached."""

import csv
import dataclasses
import io
from collections.abc import Mapping

from resparse.compare.comparison import Comparison, Summary
from resparse.pace import StepTime

MS = ("ms_a_step", "ms_a_step_least", "ms_a_step_most")


def differences_csv(result: Comparison) -> str:
    """One line per baseline, setting and basis."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    head = (
        "baseline",
        "workload",
        "sparsity",
        "at_equal",
        "difference_pp",
        "ci95_low",
        "ci95_high",
    )
    writer.writerow((*head, "p_adjusted", "standing", "smallest_visible_pp", "note"))
    for line in [*result.overall, *result.each]:
        for basis, found in (("steps", line.steps), ("training FLOPs", line.flops)):
            start = (line.baseline, *(line.setting or ("all", "all")), basis)
            note = line.flops_note if basis != "steps" else ""
            numbers: tuple[object, ...] = ("",) * 6
            if found is not None:
                ends = (found.difference, *found.ci95, found.p)
                numbers = (*ends, found.standing, found.smallest_visible)
            writer.writerow((*start, *numbers, note))
    return text.getvalue()


def methods_csv(summaries: list[Summary], paces: Mapping[tuple[str, str], StepTime]) -> str:
    """What each entrant reached, every setting and length, and the keys of its runs.

    ``paces`` are by (workload, entrant), timed at length 1 and the first sparsity.
    """
    text = io.StringIO()
    names = [f.name for f in dataclasses.fields(Summary) if f.name not in ("setting", "keys")]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("workload", "sparsity", *names, *MS, "keys"))
    for s in summaries:
        ms = paces.get((s.setting[0], s.label), ("",) * len(MS))
        values = (getattr(s, name) for name in names)
        writer.writerow((*s.setting, *values, *ms, " ".join(s.keys)))
    return text.getvalue()
