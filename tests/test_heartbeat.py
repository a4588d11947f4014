"""What a training tells of itself: how far, how fast, by a clock that nobody sets."""

import os
from types import SimpleNamespace

import pytest

from resparse import heartbeat
from resparse.heartbeat import Heartbeat, Pace


def clock(monkeypatch, at=1000.0):
    """A monotonic clock to set, beside a wall clock that only ever goes back."""
    now = SimpleNamespace(at=at, wall=2e9)

    def wall():
        now.wall -= 60.0
        return now.wall

    fake = SimpleNamespace(monotonic=lambda: now.at, time=wall)
    monkeypatch.setattr(heartbeat, "time", fake)
    return now


def test_the_pace_is_of_the_last_minute_and_by_the_monotonic_clock(tmp_path, monkeypatch):
    now, beat = clock(monkeypatch), Heartbeat(tmp_path, 2000)
    beat(500)
    assert heartbeat.read(tmp_path) == Pace(500, 2000, None, 0.0)
    assert heartbeat.read(tmp_path).left_s is None
    written, last = [], None
    for step in range(501, 1461):  # 120 seconds of 8 steps a second
        now.at += 0.125
        beat(step)
        if (told := (tmp_path / heartbeat.FILE).read_text()) != last:
            written.append(round(now.at - 1000.0))
            last = told
    assert written[1:] == [1, 3, 7, 15, 25, 35, 45, 55, 65, 75, 85, 95, 105, 115]
    pace = heartbeat.read(tmp_path)
    assert (pace.step, pace.steps) == (1420, 2000)
    assert pace.steps_per_s == 8.0
    assert pace.silent_s == 5.0
    assert pace.left_s == (2000 - 1420) / 8 - 5
    for step in range(1461, 1741):  # 70 seconds of 4: what was before is forgotten
        now.at += 0.25
        beat(step)
    assert heartbeat.read(tmp_path).steps_per_s == 4.0
    assert [p.name for p in tmp_path.iterdir()] == [heartbeat.FILE]


def test_what_a_dead_process_told_is_gone_before_the_next_one_tells(tmp_path):
    Heartbeat(tmp_path, 9)(4)
    assert heartbeat.read(tmp_path).step == 4
    beat = Heartbeat(tmp_path, 9)
    assert heartbeat.read(tmp_path) is None
    beat(2)
    beat.stop()
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "{", "[]", '{"step": 3}'])
def test_half_a_file_tells_nothing(text, tmp_path):
    (tmp_path / heartbeat.FILE).write_text(text)
    assert heartbeat.read(tmp_path) is None


def test_the_clock_of_another_machine_says_nothing_of_silence(tmp_path, monkeypatch):
    Heartbeat(tmp_path, 9)(4)
    monkeypatch.setattr(heartbeat, "boot", lambda: "another")
    assert heartbeat.read(tmp_path).silent_s is None


@pytest.mark.fault
def test_a_full_disk_does_not_end_a_training(tmp_path, monkeypatch):
    """What it told before stays, and is seen to be old; with space it tells on."""
    now, beat = clock(monkeypatch), Heartbeat(tmp_path, 9)
    beat(1)
    aside = tmp_path / f".{heartbeat.FILE}.{os.getpid()}.tmp"
    aside.symlink_to("/dev/full")
    now.at += 99
    beat(2)
    assert heartbeat.read(tmp_path)[::3] == (1, 99.0)
    assert [p.name for p in tmp_path.iterdir()] == [heartbeat.FILE]
    now.at += 99
    beat(3)
    assert heartbeat.read(tmp_path)[::3] == (3, 0.0)
