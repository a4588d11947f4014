"""A run without a record: where it stands, what it can continue from, and why it failed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from resparse.checkpoint import sound
from resparse.garbage import size
from resparse.history import in_words, read_events
from resparse.record import RunFolder, RunStore
from resparse.status.explanation import Explained, Lines, today, trained
from resparse.status.grid import said
from resparse.status.standing import Standing, read_or

LAST = 8  # events shown


def as_json(folder: RunFolder, stands: Standing) -> dict[str, Any]:
    """All that there is to know, as plain values; reads every checkpoint to see if it is sound."""
    found, torn = read_events(folder.path)
    pace = stands.pace
    return {
        "key": folder.path.name,
        "status": stands.state,
        "reason": stands.reason,
        "config": stands.run and stands.run.config,
        "fingerprint": stands.code,
        "said": said(stands),
        "progress": pace and pace._asdict() | {"left_s": pace.left_s},
        "checkpoints": [checkpoint(path) for path in sorted(folder.path.glob("checkpoint-*"))],
        "set_aside": [str(path) for path in sorted(folder.path.glob("stale-*"))],
        "events": found,
        "torn_lines": torn,
        "failure": read_or(folder.path / "failure.json", None),
    }


def checkpoint(path: Path) -> dict[str, Any]:
    """Name, size, and what is wrong with it: "" where it is whole."""
    wrong = ""
    try:
        sound(path, path.parent.name)
    except (OSError, ValueError) as error:
        wrong = f"{error}"
    return {"name": path.name, "bytes": size(path), "damaged": wrong}


def text(known: dict[str, Any], stands: Standing, store: RunStore) -> str:
    """Some 30 lines, and the trace of a run that failed."""
    path = store.at(known["key"]).path
    lines = [f"run {known['key']}, {known['status']}: {known['said']}", f"  in {path}"]
    lines += [f"  frozen in {known['frozen_in']}"] if known.get("frozen_in") else []
    named: dict[str, Lines] = {"where it stands": state(known)}
    if stands.run is not None:
        found = Explained(places=[], run=stands.run, json=known)
        code = iter([("fingerprint", f"{stands.code}; {today(found, store)}")])
        named = {"what is trained": trained(found), **named, "whose code": code}
    for part, said_of in named.items():
        lines += [part, *(f"  {name:<13}{value}" for name, value in said_of)]
    if known["events"] or known["torn_lines"]:
        lines += ["what happened last", *happened(known)]
    if known["status"] == "failed":
        lines += [f"why it failed, as {path / 'failure.json'} says", *trace(known)]
    return "\n".join(lines)


def state(known: dict[str, Any]) -> Lines:
    """Its checkpoints, newest first, and who was at it last."""
    for found in reversed(known["checkpoints"]):
        whole = f"damaged, not used: {found['damaged']}" if found["damaged"] else "sound"
        yield "checkpoint", f"{found['name']}, {found['bytes']:,} bytes, {whole}"
    if not known["checkpoints"]:
        yield "checkpoint", "none: it begins anew"
    for place in known["set_aside"]:
        yield "set aside", f"{place}: checkpoints that are kept and not continued"
    starts = [event for event in known["events"] if event["event"] == "started"]
    if starts:
        how = {k: v for k, v in starts[-1].items() if k not in ("event", "time", "pid")}
        said = ", ".join(f"{name} {value}" for name, value in how.items())
        yield "started", f"{len(starts)} x, last by process {starts[-1].get('pid', '?')}"
        yield "computed by", said or "not kept"


def happened(known: dict[str, Any]) -> Iterator[str]:
    """The last events; how a "started" computes is said elsewhere."""
    for event in known["events"][-LAST:]:
        short = {k: v for k, v in event.items() if k in ("time", "event", "pid")}
        yield "  " + "  ".join(in_words(short if event["event"] == "started" else event))
    if torn := known["torn_lines"]:
        yield f"  {torn} torn line{'s' * (torn > 1)}: cut off when a process was killed"


def trace(known: dict[str, Any]) -> Iterator[str]:
    """The last attempt's, or that there is none."""
    failure = known["failure"]
    lines = str(failure.get("trace", "")).rstrip() if isinstance(failure, dict) else ""
    yield from (f"  {line}" for line in (lines or "it has no trace").splitlines())
