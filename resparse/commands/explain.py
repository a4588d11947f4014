"""`resparse explain`: what one run is, what it found, and where it was made."""

import argparse
import json
from typing import TYPE_CHECKING

from resparse.commands import options
from resparse.errors import RunFailed

if TYPE_CHECKING:
    from resparse.record import RunStore
    from resparse.status.explanation import Explained
    from resparse.status.lookup import Frozen

SUMMARY = "what a run of the store or of the frozen baselines is and found"
EXAMPLE = "resparse explain 0123456789abcdef"
BEGUN = ("manifest.json", "failure.json")  # what an attempt leaves


def arguments(parser: argparse.ArgumentParser) -> None:
    """The run's key, and where it lies."""
    options.json_option(parser)
    text = "16 hex digits, the name of its folder and in a report's CSV, or the first 6 or more"
    parser.add_argument("key", help=text)
    options.runs(parser)


def execute(given: argparse.Namespace) -> int:
    """Print what there is to know, in words or as JSON; 2 where the run failed, which says why."""
    from resparse.artifact import ROOT
    from resparse.record import RunStore
    from resparse.status import lookup
    from resparse.status.explanation import text

    store, stored = RunStore(given.runs or ROOT / "runs"), lookup.frozen()
    key = lookup.whole_key(given.key, store, stored)
    folder, same = store.at(key), stored.get(key)
    if folder.committed:
        found = _of_store(key, store, same)
    elif same is None or any((folder.path / name).is_file() for name in BEGUN):
        return _unfinished(key, store, same, as_json=given.json)
    else:
        found = _of_frozen(same, store)
    print(json.dumps(found.json, indent=1, sort_keys=True) if given.json else text(found, store))
    return 0


def _unfinished(key: str, store: "RunStore", same: "Frozen | None", *, as_json: bool) -> int:
    """Print where a run without a record stands; 2 where it failed. ``same``: its frozen line."""
    from resparse.status import unfinished
    from resparse.status.standing import standing

    folder = store.at(key)
    stands = standing(folder)
    if stands.run is None and stands.state == "stopped":
        raise RunFailed(
            f"run {key} in {store.root} is not finished: repeat the command that trains it"
        )
    known = unfinished.as_json(folder, stands) | {"frozen_in": str(same.path) if same else None}
    print(json.dumps(known, indent=1) if as_json else unfinished.text(known, stands, store))
    return 2 if stands.state == "failed" else 0


def _of_store(key: str, store: "RunStore", same: "Frozen | None") -> "Explained":
    """The committed run; ``same`` is its line where it is frozen too."""
    from resparse.frozen.lines import agrees
    from resparse.status.explanation import Explained

    folder = store.at(key)
    record = folder.record()
    places = [str(folder.path)]
    if same is not None:
        equal = "every number equal" if agrees(record, same.line["outcome"]) else "other numbers"
        places.append(f"{same.path} ({equal})")
    return Explained(places=places, run=record.run, json=vars(record), folder=folder.path)


def _of_frozen(found: "Frozen", store: "RunStore") -> "Explained":
    """A line of the frozen baselines, as far as today's plan says what it was trained by."""
    from resparse.frozen.lines import made_by
    from resparse.status.explanation import Explained
    from resparse.status.lookup import run_of

    run = run_of(found)
    known, unknown = (None, run) if isinstance(run, str) else (run, "")
    made: dict[str, object] = {"frozen_in": str(found.path), "config": known and known.config}
    made |= {"config_unknown": unknown} if unknown else {}
    facts = made_by(found.name, found.level)
    said = found.line | made | {"provenance": facts}
    places = [f"{found.path}, row {found.line['row']}"]
    begun = store.at(found.line["key"]).path
    places += [f"{begun} (unfinished there)"] * begun.is_dir()
    return Explained(places=places, run=known, json=said, unknown=unknown)
