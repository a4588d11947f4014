"""Timing steps in a process of its own: what it gives, and that it never dies unheard."""

import dataclasses

import pytest
from conftest import make_run
from test_resolve import METHOD, forget, written

from resparse.errors import RunFailed
from resparse.outside import copied
from resparse.pace import _pace, paces

__all__ = ["forget"]  # a fixture for this file as well
DEADLY = (
    METHOD
    + """
    def updates_at(self, step):
        import os
        os._exit(7)
"""
)


def test_milliseconds_by_name(tmp_path):
    runs = {"one": make_run("static", 2), "two": make_run("set", 2)}
    found = paces(runs, tmp_path, None, "cpu")
    assert set(found) == {"one", "two"}
    for pace in found.values():
        assert 0.1 < pace.least <= pace.ms <= pace.most < 10_000


def test_the_middle_round_is_between_the_least_and_the_most():
    assert _pace([2.0, 9.0, 3.0]) == (3.0, 2.0, 9.0)


def test_a_process_that_dies_is_said_with_its_exit_code(tmp_path):
    _, digest = copied(written(tmp_path / "mine.py", DEADLY), tmp_path, "methods")
    run = dataclasses.replace(make_run("static", 2), method="mine", method_sha256=digest)
    run = dataclasses.replace(run, fields={"order": "replace", "number": 3})
    with pytest.raises(RunFailed, match=r"steps of Mine, Static ended with exit code 7; what is"):
        paces({"Mine": run, "Static": make_run("static", 2)}, tmp_path, None, "cpu")
