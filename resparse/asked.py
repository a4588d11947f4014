"""What a command line asks of `reproduce` and of `compare`."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from resparse.artifact import ROOT
from resparse.how import How
from resparse.slurm.cluster import Cluster


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `reproduce` is asked."""

    name: str
    level: str = "smoke"
    seeds: tuple[int, ...] | None = None
    only: tuple[str, ...] = ()
    sparsities: tuple[float, ...] = ()
    exact_only: bool = False
    plan_only: bool = False
    rehearse: bool = False
    from_records: bool = False
    data_root: Path | None = None
    runs: Path = ROOT / "runs"
    out: Path = ROOT / "reports"
    how: How = field(default_factory=lambda: How(device="auto"))
    workers: int | None = None
    slurm: Cluster | None = None
    speed: float | None = None
    strict: bool = False
    json: bool = False

    @property
    def partial(self) -> bool:
        """Whether less than the whole table is asked for; such a report is printed, not kept."""
        return bool(self.only or self.sparsities or self.seeds)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What `compare` is asked."""

    reference: str  # a file, a method's name, or an installed package's entry point
    level: str = "smoke"
    settings: tuple[str, ...] = ()  # fields, each as name=value
    distribution: str | None = None
    workloads: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()  # some of the panel's; none: all
    plan_only: bool = False
    data_root: Path | None = None
    runs: Path = ROOT / "runs"
    out: Path = ROOT / "reports"
    how: How = field(default_factory=lambda: How(device="auto"))
    workers: int | None = None
    json: bool = False

    @property
    def cores(self) -> int:
        """Runs at once on the CPU."""
        return self.workers or len(os.sched_getaffinity(0))
