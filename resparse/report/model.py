"""All that the page of a paper says, from committed records alone: nothing is trained or read."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from resparse import kept as keeping
from resparse.artifact import ROOT
from resparse.claims.claim import load as load_claims
from resparse.claims.claim import papers
from resparse.claims.gathered import gathered
from resparse.claims.listing import Standing, standings
from resparse.claims.printed import printed_evidence
from resparse.errors import UsageError
from resparse.kept import Kept
from resparse.reading import Table, Text, read, read_text, toml
from resparse.record import Record
from resparse.report.pieces import Piece, pieces
from resparse.report.shortfall import Lack, lacks, unplanned
from resparse.tables.render import counted

FACTS = ("device", "git_sha", "git_dirty", "torch", "cuda", "python", "lock_sha256")


class About(Table, extra="ignore"):
    """What is read of the SOURCE.toml of a paper."""

    paper: Text
    authors: Text
    venue: Text
    errata: dict[str, Text]


@dataclass(frozen=True)
class Environment:
    """What records of the same making share, and how many there are."""

    facts: tuple[tuple[str, str], ...]
    records: int


@dataclass(frozen=True)
class Page:
    """The page of a paper; ``kept`` are its records by level."""

    paper: str
    about: About
    pieces: tuple[Piece, ...]
    claims: tuple[Standing, ...]
    lacks: tuple[Lack, ...]
    unplanned: Mapping[str, Sequence[Record]]
    environments: tuple[Environment, ...]
    kept: Mapping[str, Kept]

    @property
    def command(self) -> str:
        """What makes the page."""
        return f"nox -s report -- {self.paper}"

    @property
    def claims_by_verdict(self) -> dict[str, int]:
        """Of all claims of the paper."""
        return dict(Counter(str(s.shown) for s in self.claims).most_common())

    @property
    def claims_at_mini(self) -> dict[str, int]:
        """Of the claims that mini has any number for; apart, for none of it is the paper's."""
        return dict(Counter(str(s.mini.verdict) for s in self.claims if s.mini.cells).most_common())

    @property
    def cells_by_verdict(self) -> dict[str, int]:
        """Of all numbers; what is computed is the same at every level and counts once."""
        counts: Counter[str] = Counter()
        seen: set[tuple[str, str, float, str]] = set()
        for view in (view for piece in self.pieces for view in piece.views):
            for e in view.entries:
                place = (view.artifact.id, e.row, e.sparsity, e.metric)
                if not (e.computed and place in seen):
                    counts[counted(e.cell)] += 1
                seen.add(place)
        return dict(counts.most_common())

    @property
    def records(self) -> dict[str, Record]:
        """All records by key."""
        return {key: r for level in self.kept.values() for key, r in level.records.items()}


def build(paper: str, out: Path) -> Page:
    """The page of a paper from the records below ``out``; raises UsageError for no such paper.

    Raises RunFailed naming file and line of a record that is not as it was written.
    """
    if paper not in papers():
        raise UsageError(f"no paper {paper!r}; valid: {', '.join(papers())}")
    kept = {at: keeping.read(keeping.file(out, paper, at)) for at in keeping.levels(out, paper)}
    found = pieces(paper, out, kept)
    known = dict.fromkeys(level for p in found for table in p.tables for level in table.levels)
    for level, records in kept.items():
        if level not in known:
            raise UsageError(f"{records.path}: level {level!r}; valid: {', '.join(known)}")
    where = f"baselines/published/{paper}/SOURCE.toml"
    claims = standings(load_claims(paper), gathered(paper, out), printed_evidence(paper))
    return Page(
        paper=paper,
        about=read(About, toml(read_text(ROOT / where, where), where), where),
        pieces=tuple(found),
        claims=tuple(claims),
        lacks=tuple(lacks(found, kept)),
        unplanned=unplanned(found, kept),
        environments=environments(r for level in kept.values() for r in level.records.values()),
        kept=kept,
    )


def environments(records: Iterable[Record]) -> tuple[Environment, ...]:
    """Those of the records, the most frequent first."""
    counts = Counter(environment_of(record) for record in records)
    return tuple(Environment(facts, n) for facts, n in counts.most_common())


def environment_of(record: Record) -> tuple[tuple[str, str], ...]:
    """What a record says of where it was made, as names and texts."""
    return tuple((name, str(record.provenance.get(name, "not said"))) for name in FACTS)
