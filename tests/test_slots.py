"""Runs side by side: on GPUs of their own while there are any, or on the cores."""

import os

import pytest
import torch

from resparse.errors import Missing
from resparse.how import How
from resparse.slots import at_once, emptiest, slots


@pytest.fixture
def four_gpus(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)


@pytest.mark.parametrize(
    ("world", "places"),
    [(1, ["0", "1", "2", "3"]), (2, ["0,1", "2,3"]), (3, ["0,1,2"]), (4, ["0,1,2,3"])],
)
def test_gpus_are_dealt_out_whole(world, places, four_gpus):
    how = How(device="cuda", world=world)
    assert slots(how) == places
    assert at_once(how) == len(places)


def test_only_the_gpus_that_a_process_may_use(four_gpus, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,GPU-8a")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert slots(How(device="cuda")) == ["5", "GPU-8a"]


def test_more_gpus_than_there_are_are_refused(four_gpus):
    with pytest.raises(Missing, match="5 GPUs a run, and 4 here; valid: --gpus 4"):
        slots(How(device="cuda", world=5))


def test_a_cpu_is_shared_by_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    assert slots(How()) == [""]
    assert [at_once(How(threads=t)) for t in (1, 2, 3, 16)] == [8, 4, 2, 1]
    assert at_once(How(threads=2, world=2)) == 2


def test_the_fewest_runs_count_then_the_order():
    places, taken = ["0", "1", "2"], []
    for _ in range(7):
        taken.append(emptiest(places, taken))
    assert taken == ["0", "1", "2", "0", "1", "2", "0"]
    taken.remove("1")
    assert emptiest(places, taken) == "1"
