"""A method's faults in one sentence: its name, the step, the layer, its own line of code."""

import signal
import threading
import traceback
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from resparse.errors import ResparseError, RunFailed
from resparse.masks import NonFinite
from resparse.method import Layers
from resparse.views import standing

CALL_LIMIT_S = 300.0  # of one call of a method; an update of the largest networks takes seconds
AGAIN_S = 5.0  # where a method swallows the first alarm
OWN = ("resparse.methods.", "resparse_outside.")  # modules that hold methods' own code


class Overtime(BaseException):
    """A call did not return in time; not an Exception, so that no `except Exception` hides it."""


@contextmanager
def alarm(limit_s: float) -> Iterator[None]:
    """Raise Overtime inside after ``limit_s`` seconds; only the main thread can be stopped."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise Overtime

    before = signal.signal(signal.SIGALRM, ring)
    outer = signal.setitimer(signal.ITIMER_REAL, limit_s, AGAIN_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *outer)


@dataclass
class Place:
    """The 0-based step that a method is asked about; -1: before training, None: about no step."""

    step: int | None

    def __str__(self) -> str:
        if self.step is None:
            return ""
        return ", before step 0" if self.step < 0 else f", step {self.step}"


@contextmanager
def guarded(
    method: str,
    step: int | None,
    layers: Layers,
    *,
    what: str = "",
    limit_s: float = CALL_LIMIT_S,
    error: type[ResparseError] = RunFailed,
) -> Iterator[Place]:
    """Blame a method by name for what it raises, writes in place, or never ends.

    ``what`` is asked of it, where the step alone does not say so. A body that asks about many
    steps moves the place that it is given.
    """
    at = Place(step)
    # one list: it is made at every step of a method that watches
    shown = [(name, part, of, of._version) for name, part, of in standing(layers)]
    asked = f", {what}" if what else ""
    try:
        with alarm(limit_s):
            yield at
    except (NonFinite, ResparseError):
        raise
    except (Exception, Overtime) as fault:
        kind = "" if isinstance(fault, RuntimeError | ValueError) else f"{type(fault).__name__} "
        said = f"{kind}{' '.join(str(fault).split())}"
        if isinstance(fault, Overtime):
            said = f"it did not return within {limit_s:.0f} s; valid: calls that end"
        frames = [frame for frame, _ in traceback.walk_tb(fault.__traceback__)]
        layer = layer_of(fault, frames, layers)
        named = f", layer {layer}" if layer and f"layer {layer}" not in said else ""
        raise error(f"method {method}{at}{asked}{named}: {said} ({own_line(fault)})") from fault
    for name, part, tensor, version in shown:
        if tensor._version != version:
            raise error(
                f"method {method}{at}{asked}, layer {name}: it wrote into {part}; valid: leave "
                "what it is given as it is and return a Change"
            )


def own_line(error: BaseException) -> str:
    """folder/file.py:line of the innermost frame in a method's file, else of the innermost."""
    places = [
        (frame.f_globals.get("__name__", ""), frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    own = [place for place in places if place[0].startswith(OWN)]
    _, found, line = (own or places)[-1]
    return f"{Path(found).parent.name}/{Path(found).name}:{line}"


def layer_of(
    error: BaseException, frames: Collection[FrameType], layers: Collection[str]
) -> str | None:
    """The layer whose name is the missing key, or the one that a frame is at (layer_among)."""
    if isinstance(error, KeyError) and error.args and error.args[0] in list(layers):
        return str(error.args[0])
    return layer_among(frames, layers)


def layer_among(frames: Collection[FrameType], layers: Collection[str]) -> str | None:
    """The layer that the innermost frame (the last) with just one layer's name in it is at."""
    for frame in reversed(list(frames)):
        texts = {value for value in frame.f_locals.values() if isinstance(value, str)}
        named = texts & set(layers)
        if len(named) == 1:
            return named.pop()
    return None


def frames_now(frame: FrameType | None) -> list[FrameType]:
    """A frame and all that called it, the outermost first."""
    found = []
    while frame is not None:
        found.append(frame)
        frame = frame.f_back
    return found[::-1]
