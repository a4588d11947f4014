"""One number of a table, ours beside the paper's, and a row of them: plain data."""

from dataclasses import dataclass, field

from resparse.verdict import Verdict


@dataclass
class Cell:
    """One number: ours, the paper's, what to make of it; ``keys`` are its runs' by seed."""

    value: float | None = None
    std: float | None = None
    seeds: dict[int, float] = field(default_factory=dict)
    keys: dict[int, str] = field(default_factory=dict)
    published: str | None = None
    published_std: float | None = None
    verdict: Verdict = Verdict.NOT_RUN
    frozen_verdict: Verdict | None = None
    erratum: str | None = None
    note: str = ""
    frozen_note: str = ""
    unstable: bool = False  # a run diverged or collapsed


@dataclass
class TableRow:
    """One row at one sparsity; ``counts`` are (nnz, maskable, total) by network."""

    label: str
    sparsity: float
    cells: dict[str, Cell]
    counts: dict[str, tuple[int, int, int]]
