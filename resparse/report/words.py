"""Sentences that every form of the page says."""

from resparse.claims.judge import ClaimVerdict
from resparse.claims.listing import Standing
from resparse.report.model import Page
from resparse.report.pieces import Entry, View

APART = "not the paper's column"


def lead(page: Page) -> list[str]:
    """What the page is, and what its levels show."""
    count = len(page.records)
    levels = ", ".join(f"{len(kept.records)} at {level}" for level, kept in page.kept.items())
    said = [
        f"Ours beside the paper's, made by {page.command} from {count} committed records"
        f"{f' ({levels})' if levels else ''}; nothing is trained for it. Open a number to see its "
        "seeds, curves and configuration, and the command that makes it."
    ]
    if "paper" not in page.kept:
        said.append(
            "No run of the paper's own protocol is among them: none decides a number of the paper."
        )
    return said


def columns(view: View) -> dict[str, bool]:
    """The metrics of a table and whether the paper prints them: those first, costs last."""
    printed = {entry.metric for entry in view.entries if entry.cell.published is not None}
    every = dict.fromkeys(entry.metric for entry in view.entries)
    ordered = sorted(every, key=lambda metric: (metric not in printed, "flops" in metric))
    return {metric: metric in printed for metric in ordered}


def by_place(view: View) -> dict[tuple[str, float], dict[str, Entry]]:
    """The numbers of each row and sparsity by metric, in the table's order."""
    places: dict[tuple[str, float], dict[str, Entry]] = {}
    for entry in view.entries:
        places.setdefault((entry.row, entry.sparsity), {})[entry.metric] = entry
    return places


def at_mini(standing: Standing) -> str:
    """The verdict that stays out of the paper's column, empty where mini has no number for it."""
    return str(standing.mini.verdict) if standing.mini.cells else ""


def alone_at_mini(standing: Standing) -> str:
    """What mini's models say by themselves where a claim asks for more; no verdict on the claim."""
    return "; ".join(f"{model} alone: {verdict}" for model, verdict in standing.mini.alone)


def decided(standing: Standing) -> tuple[str, str]:
    """The level that the shown verdict of a claim is of, "–" for none; and why."""
    if standing.shown == standing.paper.verdict:
        run = standing.paper.verdict != ClaimVerdict.NOT_RUN
        return (standing.paper.level if run else "–"), standing.paper.why
    return "printed", standing.own
