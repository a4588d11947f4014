"""Two processes at one run: the second waits and says for whom; a dead one's lock holds nobody."""

import multiprocessing
import os
import platform
import signal
import threading
import time

import pytest
from conftest import make_run
from killing import events
from test_fault_disk import trained

from resparse.errors import RunFailed
from resparse.holding import locked
from resparse.record import RunStore

pytestmark = pytest.mark.fault
RUN = make_run("set", 10, snapshots=(4,))
WAITS = "waits for the process that holds it"


@pytest.mark.parametrize("left", [f"{os.getppid()} on elsewhere", str(os.getppid()), "", "x\0y"])
def test_a_lock_file_that_was_left_behind_holds_nobody(left, tmp_path):
    """Whatever it says: also the number of a process that lives, another's by now."""
    folder = RunStore(tmp_path).folder(RUN)
    folder.path.mkdir()
    (folder.path / "lock").write_text(left)
    assert not locked(folder.path)
    with folder.lock():
        assert (folder.path / "lock").read_text() == f"{os.getpid()} on {platform.node()}"
        assert locked(folder.path)
    assert events(folder.path) == []


def test_the_second_waits_for_the_first_that_is_killed(tmp_path, request):
    """The first stands still after a checkpoint; the second continues it, bit for bit."""
    store, expected = RunStore(tmp_path / "runs"), trained(RunStore(tmp_path / "sound"), RUN)
    path = store.folder(RUN).path

    def stands(step):
        if step == 5:
            signal.pause()

    forked = multiprocessing.get_context("fork")
    first = forked.Process(target=trained, args=(store, RUN), kwargs={"tell": stands})
    first.start()
    request.addfinalizer(first.kill)
    until((path / "checkpoint-000000004").is_dir)
    holder = rf"is being trained by process {first.pid} on \S+: wait or stop it$"
    with pytest.raises(RunFailed, match=holder), store.folder(RUN).lock():
        pass
    found = []
    second = threading.Thread(target=lambda: found.append(trained(store, RUN)))
    second.start()
    until(lambda: WAITS in [e["event"] for e in events(path)])
    assert found == []
    os.kill(first.pid, signal.SIGKILL)
    first.join(10)
    second.join(30)
    assert found == [expected]
    said = [e for e in events(path) if e["event"] == WAITS]
    assert [e["held_by"] for e in said] == [f"{first.pid} on {platform.node()}"]
    assert [e["step"] for e in events(path) if e["event"] == "resumed"] == [4]


def test_the_second_takes_what_the_first_committed(tmp_path):
    """It does not train again."""
    store, expected = RunStore(tmp_path / "runs"), trained(RunStore(tmp_path / "sound"), RUN)
    found, begun = [], threading.Event()

    def starts_another(step):
        if step == 5 and not begun.is_set():
            begun.set()
            second.start()
            until(lambda: WAITS in [e["event"] for e in events(store.folder(RUN).path)])

    second = threading.Thread(target=lambda: found.append(trained(store, RUN)))
    assert trained(store, RUN, tell=starts_another) == expected
    second.join(30)
    assert found == [expected]
    assert [e["event"] for e in events(store.folder(RUN).path)].count("finished") == 1


def until(true, limit_s=20.0):
    """Wait for it."""
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)
