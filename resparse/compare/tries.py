"""How many configurations of a method were tried on the panel: the price of the best one's p."""

import dataclasses
import json
from collections.abc import Sequence

from resparse.compare.panel import Entry
from resparse.files import read_json
from resparse.record import Run, RunStore


def tried(store: RunStore, ours: Sequence[Entry]) -> int:
    """Configurations of this method, the present one included, that the store has of the panel.

    The file, its fields and the distribution make a configuration; seeds do not. Counted are runs
    as the panel's, of its workloads, recipes and densities, those set aside in stale/ too. One of
    the suite's methods counts only once it ran on all of the panel: rows of tables are no tuning.
    """
    name, whole = ours[0].run.method, {_place(e.run) for e in ours}
    seen: dict[tuple[str, str, str], set[tuple[str, ...]]] = {}
    for file in (*store.root.glob("*/manifest.json"), *store.root.glob("stale/*/manifest.json")):
        config = read_json(file)["config"]
        if config["method"] == name:
            run = Run.from_config(config)
            seen.setdefault(_configuration(run), set()).add(_place(run))
    least = 1 if ours[0].run.method_sha256 else len(whole)
    counted = {c for c, places in seen.items() if len(places & whole) >= least}
    return len(counted | {_configuration(ours[0].run)})


def _place(run: Run) -> tuple[str, ...]:
    """Where on the panel a run belongs, whatever its method and seed."""
    recipe = json.dumps(dataclasses.asdict(run.recipe), sort_keys=True)
    return run.model, run.dataset, recipe, repr(run.density)


def _configuration(run: Run) -> tuple[str, str, str]:
    return run.method_sha256, json.dumps(run.fields, sort_keys=True), run.distribution
