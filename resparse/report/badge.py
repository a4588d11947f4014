"""The claims of a paper by verdict, as the JSON that badge services draw."""

import json

from resparse.claims.judge import ClaimVerdict
from resparse.report.model import Page

COLOURS = {True: "blue", False: "lightgrey"}  # anything of the paper's own protocol, or nothing


def as_badge(page: Page) -> str:
    """Label, message, colour; no colour is good or bad: a contradicted claim is a finding."""
    counts = page.claims_by_verdict
    decided = sum(n for verdict, n in counts.items() if verdict != ClaimVerdict.NOT_RUN)
    badge = {
        "schemaVersion": 1,
        "label": f"{page.paper} claims",
        "message": ", ".join(f"{n} {verdict.lower()}" for verdict, n in counts.items()),
        "color": COLOURS[decided > 0],
    }
    return json.dumps(badge, indent=1) + "\n"
