"""Being asked to stop: SIGTERM (kill, torchrun, Slurm's end) and SIGUSR1 (Slurm's warning)."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from resparse.errors import Requeue

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)

# what a fork server that is deaf to them forks hears them: see forking.context
os.register_at_fork(after_in_child=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS))


def unasked() -> bool:
    """Nobody asks."""
    return False


@contextmanager
def listening() -> Iterator[Callable[[], bool]]:
    """Inside, the signals end nothing: what is given says whether one has come.

    Under torchrun Ctrl-C comes this way too, elsewhere the command passes it on as SIGTERM.
    """
    came: list[int] = []
    also = (signal.SIGINT,) if "TORCHELASTIC_RUN_ID" in os.environ else ()
    with handling(lambda number, frame: came.append(number), (*SIGNALS, *also)):
        yield lambda: bool(came)


@contextmanager
def raising() -> Iterator[None]:
    """Inside, the signals raise Requeue, once: what ends the work then is not interrupted again."""
    came: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if len(came) == 1:
            raise Requeue(f"stopped by {signal.Signals(number).name}: repeat the command")

    with handling(stop):
        yield


@contextmanager
def handling(
    handler: Callable[[int, FrameType | None], object],
    signals: Sequence[signal.Signals] = SIGNALS,
) -> Iterator[None]:
    """Inside, ``handler`` hears the signals; in other threads than the main they keep their way."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in signals}
    try:
        yield
    finally:
        for number, was in before.items():
            signal.signal(number, was)
