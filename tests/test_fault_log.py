"""events.jsonl with a torn line, and a clock that is set back: nothing is lost or decided by it."""

import itertools
import json
import time

import pytest
from conftest import make_run, train_to
from killing import require_same, whole

from resparse import heartbeat
from resparse.errors import Requeue
from resparse.history import read_events
from resparse.record import RunFolder, RunStore
from resparse.status.standing import standing

pytestmark = pytest.mark.fault
HOUR = 3600.0


@pytest.mark.parametrize("torn", ['{"event":"che', "{", '{"event":"checkpoint","step":5}', "\0\0"])
def test_what_follows_a_torn_line_is_not_lost(torn, tmp_path):
    """Cut off anywhere, also just before its end: then it is whole, and counts."""
    folder = RunFolder(tmp_path)
    folder.event(event="one")
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write(torn)
    complete = torn.endswith("}")
    found, passed = read_events(tmp_path)
    assert [e["event"] for e in found] == ["one"] + ["checkpoint"] * complete
    assert passed == (not complete)
    folder.event(event="two", step=2)
    folder.event(event="three")
    found, passed = read_events(tmp_path)
    assert [e["event"] for e in found] == ["one"] + ["checkpoint"] * complete + ["two", "three"]
    assert passed == (not complete)
    assert (tmp_path / "events.jsonl").read_text().count("\n") == 4


def test_a_torn_line_alone_in_an_empty_log(tmp_path):
    (tmp_path / "events.jsonl").write_text("{")
    RunFolder(tmp_path).event(event="one")
    assert [e["event"] for e in read_events(tmp_path)[0]] == ["one"]


def test_a_training_goes_on_below_a_torn_line(tmp_path):
    run = make_run("set", 8)
    with pytest.raises(Requeue):
        train_to(tmp_path / "run", run, checkpoint_steps=2, stop_after=5)
    log = tmp_path / "run" / "events.jsonl"
    log.write_bytes(log.read_bytes()[:-3])
    require_same(whole(tmp_path / "run", run), whole(tmp_path / "whole", run))
    found, passed = read_events(tmp_path / "run")
    assert [(e["event"], e["step"]) for e in found] == [
        ("checkpoint", 2), ("checkpoint", 4), ("resumed", 5),
    ]  # fmt: skip
    assert passed == 1


@pytest.fixture
def back(monkeypatch):
    """Every look at the clock finds it an hour earlier; the monotonic one runs as ever."""
    looks, now = itertools.count(1), time.time()
    monkeypatch.setattr(time, "time", lambda: now - HOUR * next(looks))
    assert time.time() - time.time() == HOUR


def test_a_clock_that_is_set_back_decides_nothing(tmp_path, back):
    """Which checkpoint is the newest, their cadence, the order of events."""
    run = make_run("snfs", 16)
    expected = whole(tmp_path / "whole", run)
    with pytest.raises(Requeue):
        train_to(tmp_path / "run", run, checkpoint_steps=3, stop_after=10)
    require_same(whole(tmp_path / "run", run, checkpoint_steps=3), expected)
    lines = [json.loads(x) for x in (tmp_path / "run" / "events.jsonl").read_text().splitlines()]
    assert [(e["event"], e["step"]) for e in lines] == [
        *(("checkpoint", step) for step in (3, 6, 9, 10)), ("resumed", 10),
        *(("checkpoint", step) for step in (12, 15)),
    ]  # fmt: skip
    assert lines == read_events(tmp_path / "run")[0]
    times = [e["time"] for e in lines]
    assert times == sorted(times, reverse=True)


def test_checkpoints_come_by_the_monotonic_clock(tmp_path, monkeypatch, back):
    """Ten seconds a look: every fourth step or so is more than 20 s after the last checkpoint."""
    ticks = itertools.count(0, 10)
    monkeypatch.setattr(time, "monotonic", lambda: float(next(ticks)))
    train_to(tmp_path, make_run("static", 8), checkpoint_s=20.0)
    found = [e["step"] for e in read_events(tmp_path)[0]]
    assert len(found) >= 2
    assert found == sorted(found)


def test_status_and_what_is_left_go_by_the_monotonic_clock(tmp_path, monkeypatch, back):
    folder, now = RunStore(tmp_path).at("0" * 16), [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with folder.lock():
        beat = heartbeat.Heartbeat(folder.path, 100)
        for step in range(0, 50, 5):
            beat(step)
            now[0] += 10.0
        pace = standing(folder).pace
        assert standing(folder).state == "running"
    assert (pace.step, pace.steps_per_s, pace.silent_s) == (45, 0.5, 10.0)
    assert pace.left_s == 55 / 0.5 - 10.0
    assert standing(folder).state == "stopped"
