"""A table's runs and where each stands in a run store, without its dataset."""

import dataclasses
from collections.abc import Iterator, Sequence

from resparse.artifact import Planned, check_seeds, load, plan
from resparse.errors import ResparseError
from resparse.record import Run, RunStore
from resparse.runner import with_parents
from resparse.status.grid import Seen
from resparse.status.standing import STATES, Standing, standing
from resparse.worker import code_of

UNREAD = "unread"  # stands for the hash of a dataset that need not be here
PARENT = "(parent)"
ORDER = ("running", *(state for state in STATES if state != "running"))


def seen(table: str, level: str, seeds: Sequence[int], store: RunStore) -> list[Seen]:
    """Every run of a table, in its order, then parents that are no row; ``seeds``: the level's.

    A stored run counts whatever its dataset's hash; of several the first in ORDER.
    """
    artifact = load(table)
    chosen = check_seeds(tuple(seeds) or artifact.level(level).seeds, "--seeds")
    planned = plan(artifact, level, UNREAD, seeds=chosen)
    stored: dict[str, list[tuple[str, Standing]]] = {}
    for folder in store.folders():
        stands = standing(folder)
        if stands.run is not None:
            stored.setdefault(unread(stands.run).key, []).append((folder.path.name, stands))
    found = []
    for item in (*planned, *_parents(planned)):
        here = stored.get(item.run.key, [(item.run.key, Standing("waiting", item.run))])
        key, stands = min(here, key=lambda pair: ORDER.index(pair[1].state))
        name = f"{item.label}, sparsity {item.sparsity:.6g}, seed {item.run.seed}"
        cell = (item.label, item.sparsity, item.run.seed)
        found.append(Seen(key, name, _by_today(stands), *cell))
    return found


def _parents(planned: Sequence[Planned]) -> Iterator[Planned]:
    rows = {item.run.key for item in planned}
    for run in with_parents([item.run for item in planned]):
        if run.key not in rows:
            yield Planned(label=f"{PARENT} {run.method}", sparsity=1.0 - run.density, run=run)


def _by_today(stands: Standing) -> Standing:
    """The same, or stale where other code made it than today's."""
    if stands.run is None or stands.state not in ("done", "diverged", "collapsed"):
        return stands
    try:
        today = code_of(stands.run)
    except (ResparseError, OSError) as error:  # its method's file cannot be read any more
        return stands._replace(state="stale", reason=f"{error}")
    return stands if stands.code == today else stands._replace(state="stale")


def unread(run: Run) -> Run:
    """The same run of a dataset whose hash is not known, as is its parent's."""
    parent = run.parent and unread(run.parent)
    return dataclasses.replace(run, dataset_sha256=UNREAD, parent=parent)
