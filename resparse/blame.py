"""A method's faults in one sentence: its name, the step, the layer, its own line of code."""

import signal
import threading
import traceback
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from resparse import registry
from resparse.errors import RunFailed
from resparse.masks import NonFinite
from resparse.method import Layers

CALL_LIMIT_S = 300.0  # of one call of a method; an update of the largest networks takes seconds
AGAIN_S = 5.0  # where a method swallows the first alarm


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
    signal.setitimer(signal.ITIMER_REAL, limit_s, AGAIN_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def guarded(
    method: str, step: int, layers: Layers, *, limit_s: float = CALL_LIMIT_S
) -> Iterator[None]:
    """Blame a method by name for what it raises, writes in place, or never ends."""

    shown = [  # one list: it is made at every step of a method that watches
        (name, part, tensor, tensor._version)
        for name, layer in layers.items()
        for part, tensor in zip(layer._fields, layer, strict=True)
        if tensor is not None
    ]
    at = "before step 0" if step < 0 else f"step {step}"
    try:
        with alarm(limit_s):
            yield
    except NonFinite:
        raise
    except (Exception, Overtime) as error:
        kind = "" if isinstance(error, RuntimeError | ValueError) else f"{type(error).__name__} "
        said = f"{kind}{error}"
        if isinstance(error, Overtime):
            said = f"it did not return within {limit_s:.0f} s; valid: calls that end"
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        place, layer = own_line(error, registry.source(method)), layer_of(error, frames, layers)
        named = f", layer {layer}" if layer and f"layer {layer}" not in said else ""
        raise RunFailed(f"method {method}, {at}{named}: {said} ({place})") from error
    for name, part, tensor, version in shown:
        if tensor._version != version:
            raise RunFailed(
                f"method {method}, {at}, layer {name}: it wrote into {part}; valid: leave "
                "what it is given as it is and return a Change"
            )


def own_line(error: BaseException, file: Path) -> str:
    """folder/file.py:line of the innermost frame in ``file``, else of the innermost of all."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename) == file] or list(frames)
    found = Path(own[-1].filename)
    return f"{found.parent.name}/{found.name}:{own[-1].lineno}"


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
