"""The room that is asked for before training, held against what a training really takes."""

import os
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
from conftest import make_run, parent_of, train_to

from resparse import api, disk
from resparse.disk import checkpoint_bytes, kept_bytes, require_room, training_bytes
from resparse.errors import Missing
from resparse.garbage import size
from resparse.record import RunStore


@pytest.fixture
def largest(monkeypatch):
    """A function from a run's folder to its bytes at their most, at any of its syncs."""

    def watch(path):
        found, real = SimpleNamespace(bytes=0), os.fsync

        def look(handle):
            real(handle)
            found.bytes = max(found.bytes, size(path))

        monkeypatch.setattr(os, "fsync", look)
        return found

    return watch


@pytest.mark.parametrize("method", ["dense", "snfs", "ltr", "small_dense"])
def test_a_real_training_takes_what_is_asked_for(method, largest, tmp_path, monkeypatch):
    """Nothing beyond it, and nearly all: SNFS with averages, a ticket; a network made narrow."""
    monkeypatch.setattr(disk, "OTHER", 13_000)  # names and JSON of this small network
    run = make_run(method, 24, snapshots=(8, 16))
    parent = parent_of(run, tmp_path)
    path = tmp_path / "run"
    found = largest(path)
    trained = train_to(path, run, parent, checkpoint_steps=4)
    checkpoint = max(size(p) for p in path.glob("checkpoint-*"))
    final = sum((path / name).stat().st_size for name in trained.files)
    asked = (checkpoint_bytes(run), kept_bytes(run), kept_bytes(run) + training_bytes(run))
    least = 0.2 if method == "small_dense" else 0.75
    for real, bound in zip((checkpoint, final, found.bytes), asked, strict=True):
        assert least * bound < real <= bound


@pytest.mark.parametrize(("method", "state"), [("set", 0), ("snfs", 4)])
def test_resnet50_by_hand(method, state, monkeypatch):
    """25,557,032 parameters, 25,502,912 of them maskable; 53,120 + 53 numbers of its norms."""
    monkeypatch.setattr(disk, "OTHER", 0)
    run = replace(make_run(method), model="resnet50", dataset="imagenet")
    network, masked = 4 * (25_557_032 + 53_120) + 8 * 53, 25_502_912
    assert kept_bytes(run) == network + masked
    one = network + 4 * 25_557_032 + (3 + state) * masked + 5056
    assert training_bytes(run) == 3 * one
    still = replace(run, recipe=replace(run.recipe, momentum=0.0))
    assert checkpoint_bytes(still) == one - 4 * 25_557_032


def test_what_is_asked_for_is_of_all_runs_and_of_those_at_once(tmp_path, monkeypatch):
    runs, store = [make_run("set", seed=seed) for seed in range(5)], RunStore(tmp_path / "runs")
    asked = []
    monkeypatch.setattr(disk, "require_writable", lambda root, need: asked.append((root, need)))
    kept, training = kept_bytes(runs[0]), training_bytes(runs[0])
    for at_once in (1, 3, 9):
        require_room(runs, store, at_once)
    folder = store.folder(runs[0]).path
    folder.mkdir(parents=True)
    (folder / "checkpoint").write_bytes(bytes(1000))
    require_room(runs, store, 1)
    require_room([], store, 1)
    assert asked == [
        (store.root, need) for need in (5 * kept + n * training for n in (1, 3, 5))
    ] + [(store.root, 5 * kept + training - 1000), (store.root, 0)]


def test_it_is_asked_for_before_training(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=10_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(Missing, match=r"has 0.00 GB free, 0.00 GB needed"):
        api.run("set", density=0.1, runs=tmp_path / "runs")
    assert list((tmp_path / "runs").iterdir()) == []
