"""Where a run stands, read from its folder's files; no torch, so that looking costs no training."""

from pathlib import Path
from typing import Any, NamedTuple

from resparse import heartbeat
from resparse.errors import ResparseError
from resparse.files import read_json
from resparse.heartbeat import Pace
from resparse.holding import locked
from resparse.record import Run, RunFolder

FINISHED = ("done", "diverged", "collapsed", "stale")
STATES = (*FINISHED, "running", "failed", "damaged", "stopped", "waiting")


class Standing(NamedTuple):
    """One run's state, one of STATES, and what there is to say of it."""

    state: str
    run: Run | None = None  # None: its folder does not say, or an unknown version wrote it
    reason: str = ""
    pace: Pace | None = None  # of a running one, or where a stopped one was
    checkpoint: int | None = None  # the step that a stopped one continues from
    code: str = ""  # fingerprint of the code that made it or is at it


def standing(folder: RunFolder) -> Standing:
    """Where the run in ``folder`` stands; committed files are not verified, `explain` does that.

    Whether a process is at the run is asked of the kernel (holding.locked).
    """
    held = locked(folder.path)
    if folder.committed:  # looked at second: it is committed before the lock is let go of
        return _finished(folder.path)
    run, code = begun(folder.path)
    if held:
        return Standing("running", run, pace=heartbeat.read(folder.path), code=code)
    failure = folder.path / "failure.json"
    if failure.is_file():
        return Standing("failed", run, reason_of(failure), code=code)
    if not folder.path.is_dir():
        return Standing("waiting")
    steps = [int(p.name[11:]) for p in folder.path.glob("checkpoint-*") if p.name[11:].isdecimal()]
    return Standing(
        "stopped",
        run,
        pace=heartbeat.read(folder.path),
        checkpoint=max(steps, default=None),
        code=code,
    )


def _finished(path: Path) -> Standing:
    try:
        record = read_json(path / "record.json")
        state = {"completed": "done"}.get(record["status"], record["status"])
        if state not in FINISHED:
            raise ValueError(f"status {state!r}")
        run = Run.from_config(record["config"])
        return Standing(state, run, record["reason"], code=record["fingerprint"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        return Standing("damaged", begun(path)[0], f"{path / 'record.json'}: {error}")


def begun(path: Path) -> tuple[Run | None, str]:
    """The run that a folder's manifest names, and the code that is at it; (None, "") without."""
    manifest = read_or(path / "manifest.json", {})
    try:
        return Run.from_config(manifest["config"]), str(manifest["code"])
    except (TypeError, KeyError, ValueError, AttributeError):
        return None, ""


def reason_of(failure: Path) -> str:
    """Why an attempt failed, as its process said."""
    said = read_or(failure, {})
    return (
        str(said["reason"])
        if isinstance(said, dict) and "reason" in said
        else f"{failure.name} cannot be read"
    )


def read_or(path: Path, otherwise: Any) -> Any:
    """A JSON file's value, or ``otherwise`` where it is missing or no JSON."""
    try:
        return read_json(path)
    except (OSError, ValueError, ResparseError):
        return otherwise
