"""All claims of a paper with their verdicts: for people, and for other programs."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from resparse.claims.claim import Claim
from resparse.claims.evidence import Evidence
from resparse.claims.judge import OWN_TABLE, ClaimVerdict, Judgement, judge, own_tables


@dataclass(frozen=True)
class Standing:
    """A claim, its verdict in the paper's column, the labelled mini verdict, the own tables' word.

    ``smoke`` is shown for what it could compute and never decides.
    """

    claim: Claim
    paper: Judgement
    mini: Judgement
    smoke: Judgement
    own: str

    @property
    def shown(self) -> str:
        """The word of the paper's column: the own tables' where they alone contradict."""
        alone = self.paper.verdict == ClaimVerdict.NOT_RUN or self.paper.level == "printed"
        return OWN_TABLE if alone and self.own.startswith(OWN_TABLE) else self.paper.verdict


def standings(claims: Sequence[Claim], evidence: Evidence, printed: Evidence) -> list[Standing]:
    """Every claim judged at every level; those that only print can decide are judged by it."""
    found = []
    for claim in claims:
        by_print = claim.entry.decided_by == "printed"
        paper = judge(claim, printed, "printed") if by_print else judge(claim, evidence, "paper")
        mini, smoke = (judge(claim, evidence, level) for level in ("mini", "smoke"))
        found.append(Standing(claim, paper, mini, smoke, own_tables(claim, printed)))
    return found


def as_json(standing: Standing) -> dict[str, Any]:
    """The claim's entry and all that was found of it, in plain types."""
    return {
        **standing.claim.entry.model_dump(),
        "verdict": standing.shown,
        "own_tables": standing.own,
        "paper": asdict(standing.paper),
        "mini": asdict(standing.mini),
        "smoke": asdict(standing.smoke),
    }


def lines(found: Sequence[Standing]) -> list[str]:
    """The list for people: a block a claim, then how many came out how."""
    text = []
    for s in found:
        entry = s.claim.entry
        text += [f"{s.shown}  {entry.id}", f"    {entry.where}: {entry.statement}"]
        if s.paper.verdict != ClaimVerdict.NOT_RUN:
            text.append(f"    {s.paper.level}: {s.paper.why} [{s.paper.test}]")
        elif s.paper.cells or s.paper.problems:
            text.append(f"    paper: {s.paper.why}")
        if s.mini.cells:
            text.append(f"    mini, not the paper's column: {s.mini.verdict}: {s.mini.why}")
        if entry.printed:
            text.append(f"    own tables: {s.own}{f' ({entry.erratum})' if entry.erratum else ''}")
        if entry.needs:
            text.append(f"    unknown: {entry.needs}")
    counts = Counter(s.shown for s in found)
    said = ", ".join(f"{number} {verdict}" for verdict, number in counts.most_common())
    return [*text, f"{len(found)} claims: {said}"]
