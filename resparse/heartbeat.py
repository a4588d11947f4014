"""How far a training is, told by its process now and then; what `resparse status` reads."""

import json
import os
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from resparse.files import read_json, writing

FILE = "progress.json"
EVERY_S = 10.0  # between writes, once a training is under way; at first they are closer
KEPT = 7  # writes that the pace is taken over: about a minute


class Heartbeat:
    """Told the steps done after each of them, keeps them and the pace in progress.json.

    Times are the monotonic clock's, which nobody sets back. The file is renamed into place but not
    fsynced: nothing is resumed from it. For that reason a full disk does not end a training here:
    what goes on needs no space, and the next checkpoint says aloud that there is none. Until then
    `resparse status` says for how long the run has been silent. It is gone once the run is
    committed; what a killed process left is recognised by the run's lock, which nobody holds then,
    and removed by the next attempt.
    """

    def __init__(self, folder: Path, total: int) -> None:
        self.path, self.total = folder / FILE, total
        self.due, self.wait = float("-inf"), EVERY_S / 10
        self.told: deque[tuple[float, int]] = deque(maxlen=KEPT)
        self.boot = boot()
        self.stop()

    def __call__(self, step: int) -> None:
        """Take how many steps are done; costs a look at the clock, and a small file when due."""
        now = time.monotonic()
        if now < self.due:
            return
        self.told.append((now, step))
        self.due, self.wait = now + self.wait, min(2 * self.wait, EVERY_S)
        (began, first), rate = self.told[0], None
        if step > first and now > began:
            rate = (step - first) / (now - began)
        said = {"step": step, "steps": self.total, "steps_per_s": rate}
        aside = self.path.with_name(f".{FILE}.{os.getpid()}.tmp")
        try:
            aside.write_text(json.dumps(said | {"monotonic_s": now, "boot": self.boot}))
            aside.replace(self.path)
        except OSError:
            with suppress(OSError):
                aside.unlink()

    def stop(self) -> None:
        """There is nothing to tell any more, or not yet."""
        with writing(self.path):
            self.path.unlink(missing_ok=True)


class Pace(NamedTuple):
    """What a training last told of itself."""

    step: int  # done
    steps: int  # of the whole run
    steps_per_s: float | None  # over the last minute; None before it is known
    silent_s: float | None  # since it told so; None where that was before a boot or elsewhere

    @property
    def left_s(self) -> float | None:
        """Seconds to the last step at that pace."""
        if not self.steps_per_s:
            return None
        return max(0.0, (self.steps - self.step) / self.steps_per_s - (self.silent_s or 0.0))


def read(folder: Path) -> Pace | None:
    """What the training in ``folder`` last told; None where it told nothing that can be read."""
    try:
        said = read_json(folder / FILE)
        here = said["boot"] and said["boot"] == boot()
        silent = max(0.0, time.monotonic() - said["monotonic_s"]) if here else None
        return Pace(said["step"], said["steps"], said["steps_per_s"], silent)
    except (OSError, ValueError, TypeError, KeyError):  # none, or a power cut left it half written
        return None


def boot() -> str:
    """What tells this machine since it was booted from others, whose monotonic clock is another."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
