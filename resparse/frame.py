"""The records of a store as a pandas frame, a row each."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resparse.artifact import ROOT
from resparse.errors import RunFailed
from resparse.evidence import REQUIRED
from resparse.record import Record, RunStore

if TYPE_CHECKING:
    import pandas as pd

CONFIG = ("method", "model", "dataset", "density", "distribution", "seed", "precision")
PROVENANCE = ("wall_s", "device", "git_sha", "git_dirty", "torch")
COLUMNS = ("key", *CONFIG, "steps", "status", *REQUIRED, *PROVENANCE, "fingerprint")


def records(runs: str | Path | None = None) -> "pd.DataFrame":
    """One row a committed record of the store ``runs`` (default: runs/ of the checkout), verified.

    Columns: ``COLUMNS``, where nnz and train_flops are sums (over layers; of init, training and
    parent, in FLOPs) and git_dirty says that something outside reports/ was not as committed;
    every other scalar of the outcome; each method field x as ``fields.x``, empty where a method has
    none such. Raises RunFailed naming the folder of a damaged record.
    """
    import pandas as pd

    root = Path(runs).expanduser().resolve() if runs else ROOT / "runs"
    rows = [row(record) for record in committed(RunStore(root))]
    named = list(COLUMNS)
    named += sorted({name for found in rows for name in found} - set(COLUMNS))
    return pd.DataFrame(rows, columns=named)


def committed(store: RunStore) -> Iterator[Record]:
    """The store's verified records by key; raises RunFailed naming the folder of a damaged one."""
    for folder in store.folders():
        if folder.committed:
            try:
                yield folder.record()
            except RunFailed as error:
                named = str(folder.path) in str(error)
                raise error if named else RunFailed(f"{folder.path}: {error}") from error


def row(record: Record) -> dict[str, Any]:
    """The record's plain values by column."""
    outcome, config = record.outcome, record.config
    scalars = {k: v for k, v in outcome.items() if not isinstance(v, dict | list)}
    sums = {name: sum(outcome[name].values()) for name in ("nnz", "train_flops")}
    return (
        {"key": record.key, "steps": config["recipe"]["steps"], "status": record.status}
        | {name: config[name] for name in CONFIG}
        | scalars
        | sums
        | {name: record.provenance.get(name) for name in PROVENANCE}
        | {"fingerprint": record.fingerprint}
        | {f"fields.{name}": value for name, value in config["fields"].items()}
    )
