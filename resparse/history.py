"""What happened to a run, from its events.jsonl."""

import json
import time
from pathlib import Path
from typing import Any


def read_events(folder: Path) -> tuple[list[dict[str, Any]], int]:
    """The events of the run in ``folder``, oldest first, and how many lines are no event.

    A process that is killed while it writes leaves a torn line: it is passed over, and counted.
    """
    try:
        lines = (folder / "events.jsonl").read_bytes().splitlines()
    except OSError:
        return [], 0
    found = [event for event in map(_event, lines) if event is not None]
    return found, len(lines) - len(found)


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) and isinstance(value.get("event"), str) else None


def in_words(event: dict[str, Any]) -> tuple[str, str]:
    """(when by this machine's clock, what)."""
    at, rest = event.get("time"), {k: v for k, v in event.items() if k not in ("time", "event")}
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at)) if _is_time(at) else "?"
    said = ", ".join(f"{name} {value}" for name, value in rest.items())
    return when, event["event"] + (f": {said}" if said else "")


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value < 1e11
