"""The process that trainings are forked from: torch loaded, numerics set, no script of the caller.

A notebook lives long: it may train in one precision, then in another, and its code may be edited
in between. What is forked always has the numerics asked for, and the code as it is now. A server of
other numerics stays until code is edited: another would load torch again when they alternate.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from types import ModuleType
from typing import Any

from resparse.errors import RunFailed
from resparse.precision import PORTABLE_ENV
from resparse.stopping import SIGNALS

_PRELOAD = ["resparse.preloaded"]
_Code = tuple[tuple[str, int], ...]
_Kind = tuple[bool, _Code]  # whether numerics are portable, and the state of the code
_Handle = tuple[int, int, str]  # of a fork server: what keeps it alive, process, address
_serving: dict[int, _Kind] = {}  # by process: of the fork servers that were started here
_waiting: dict[int, _Handle] = {}  # those of them, by process, whose numerics nobody needs now


def context(precision: str) -> ForkServerContext:
    """Where to start processes of a precision; a fork server of older code goes.

    Raises RunFailed where the caller runs one of its own, whose numerics nobody knows.
    """
    made = multiprocessing.get_context("forkserver")
    kind = (precision == "portable", _code())
    running = getattr(forkserver._forkserver, "_forkserver_pid", None)
    if running is not None and running not in _serving and precision == "portable":
        raise RunFailed(
            "this process has a multiprocessing fork server that was started elsewhere, without "
            "portable numerics: restart the kernel and let resparse train before that is started"
        )
    if running in _serving and _serving[running] != kind:
        _change(forkserver._forkserver, kind)
    made.set_forkserver_preload(_PRELOAD)
    # a signal to all processes of the command must not end the server before its trainings
    resource_tracker.ensure_running()  # first: where it is started it unblocks SIGTERM
    heard = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        with _environment(PORTABLE_ENV if precision == "portable" else {}), no_main():
            forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, heard)
    started = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    if started != running:
        _serving[started] = kind
    for ended in set(_serving) - {started, *_waiting}:
        del _serving[ended]
    return made


def shared() -> ForkServerContext:
    """Where to start processes whose numerics do not matter: from the fork server that is there.

    One is started where there is none; trainings part from it where they need another.
    """
    if getattr(forkserver._forkserver, "_forkserver_pid", None) is None:
        return context("fp32")
    return multiprocessing.get_context("forkserver")


def _change(server: Any, kind: _Kind) -> None:
    """Put the server that is used aside, and take one of this kind if it waits; older code goes.

    One that is let go ends once its last process has; where none waits the next use starts one.
    There is no public way, and ``_stop`` waits for processes that may have been left behind.
    """
    with server._lock:
        now = (server._forkserver_alive_fd, server._forkserver_pid, server._forkserver_address)
        _waiting[now[1]] = now
        for pid, (alive, *_) in list(_waiting.items()):
            if _serving[pid][1] != kind[1]:
                os.close(alive)
                del _waiting[pid], _serving[pid]
        found = next((pid for pid in _waiting if _serving[pid] == kind), None)
        taken = (None, None, None) if found is None else _waiting.pop(found)
        server._forkserver_alive_fd, server._forkserver_pid, server._forkserver_address = taken


def start(process: ForkServerProcess) -> None:
    """Start it without running the caller's script again, which may have no __main__ guard."""
    with no_main():
        process.start()


def stdout_to_stderr() -> None:
    """Send what this process prints to stderr from now on: stdout is the command's own, often JSON.

    To be called first in a process that runs code from outside; what C code prints goes there too.
    """
    sys.stdout.flush()
    os.dup2(2, 1)


def _code() -> tuple[tuple[str, int], ...]:
    """The package's files and when each was written."""
    files = sorted(Path(__file__).resolve().parent.rglob("*.py"))
    return tuple((str(path), path.stat().st_mtime_ns) for path in files)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Variables for a process that is started inside; ours are as before afterwards."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def no_main() -> Iterator[None]:
    """Hide the main module, which a process started inside would otherwise import by its file.

    Scripts without a __main__ guard would so do all they do once again in each process.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
