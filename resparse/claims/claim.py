"""A claim of a paper as its TOML says it, and all of a paper's claims."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from resparse.claims.part import Axis, Part, read_part
from resparse.errors import Missing, UsageError
from resparse.reading import Many, Some, Table, Text, distinct, matching, read, read_text, toml
from resparse.table import Source

ROOT = Path(__file__).resolve().parents[2]
FOLDER = "claims"  # of benchmarks/<paper>/
PRINTED = "printed.toml"  # in it: how rows of the paper's tables name points, not claims
Kind = Literal["ordering", "magnitude", "trend", "definition", "identity"]
Erratum = Annotated[str, matching(r"E-[A-Z]+-\d\d", "an id like E-ITOP-08")]


class Entry(Table):
    """The table [[claim]] of a file; parts are read by their own kinds."""

    id: Annotated[str, matching(r"[a-z][a-z0-9]*(-[A-Za-z0-9]+)*", "words joined by hyphens")]
    where: Text  # table or figure, section
    kind: Kind
    statement: Text  # in our words
    artifacts: Some[str]  # what decides it: table1, figure4
    margin_reason: str = ""
    needs: str = ""  # what is unknown
    note: str = ""
    erratum: Erratum | None = None
    decided_by: Literal["records", "printed"] = "records"
    printed: bool = False  # whether the paper's own tables can be held against it
    models: Many[str] = ()  # each must be there at every level
    axes: dict[str, list[float] | list[str]] = Field(default_factory=dict)  # at the paper's level
    each: Many[Axis] = ()
    some: Many[Axis] = ()
    part: Some[dict[str, Any]]


@dataclass(frozen=True)
class Claim:
    """An entry with its parts read."""

    entry: Entry
    parts: tuple[Part, ...] = field(default=())

    @property
    def id(self) -> str:
        """The claim's name."""
        return self.entry.id

    @property
    def metrics(self) -> set[str]:
        """Every metric that a part reads."""
        found = set()
        for part in self.parts:
            found.add(part.metric)
            for name in ("left", "right", "of", "base"):
                side = getattr(part, name, None)
                found |= {side["metric"]} if side and "metric" in side else set()
            found |= {"rs"} if part.test in ("saturates", "threshold", "bound") else set()
            found |= {f"{part.metric}_std"} if part.test == "agree" else set()
        return found


def parse(text: str, where: str) -> list[Claim]:
    """The claims of a file; raises UsageError naming claim and key for anything invalid."""
    tables = toml(text, where)
    if set(tables) != {"claim"} or not isinstance(tables["claim"], list):
        raise UsageError(f"{where}: {', '.join(tables) or 'nothing'}; valid: [[claim]] alone")
    return [_claim(table, f"{where}, claim {n}") for n, table in enumerate(tables["claim"], 1)]


def _claim(table: Mapping[str, Any], where: str) -> Claim:
    entry = read(Entry, dict(table), f"{where} ({table.get('id', 'without id')})")
    where = f"{where} ({entry.id})"
    parts = tuple(read_part(p, f"{where}, part {n}") for n, p in enumerate(entry.part, 1))
    asked = any(getattr(p, key, 0) for p in parts for key in ("margin", "step", "tolerance"))
    if asked and not entry.margin_reason:
        raise UsageError(f"{where}: margin without margin_reason; valid: why it is that")
    return Claim(entry, parts)


def papers() -> list[str]:
    """The papers whose claims this checkout holds."""
    return sorted(folder.parent.name for folder in ROOT.glob(f"benchmarks/*/{FOLDER}"))


def load(paper: str) -> list[Claim]:
    """All claims of a paper, by file; raises UsageError for a bad file or an id given twice."""
    if not (ROOT / "benchmarks").is_dir():
        raise Missing(f"no folder {ROOT / 'benchmarks'}: claims are read from a checkout")
    if paper not in papers():
        raise UsageError(f"no claims of paper {paper!r}; valid: {', '.join(papers())}")
    claims: list[Claim] = []
    for path in sorted((ROOT / "benchmarks" / paper / FOLDER).glob("*.toml")):
        if path.name != PRINTED:
            where = str(path.relative_to(ROOT))
            claims += parse(read_text(path, where), where)
    distinct((claim.id for claim in claims), "claim", f"benchmarks/{paper}/{FOLDER}")
    _require_errata(claims, f"baselines/published/{paper}/SOURCE.toml")
    return claims


def _require_errata(claims: Sequence[Claim], source: str) -> None:
    """Raise UsageError for a claim with an erratum that the paper's numbers do not come with."""
    known = read(Source, toml(read_text(ROOT / source, source), source), source).errata
    for claim in claims:
        if claim.entry.erratum not in (None, *known):
            valid = f"valid: those of {source}, {', '.join(known)}"
            raise UsageError(f"claim {claim.id}: erratum = {claim.entry.erratum!r}; {valid}")
