"""What can go wrong while a run trains: it is named at its step, and nothing saved is lost."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from checkout import ROOT
from conftest import Watched, counts_of, make_run, train_to

from resparse import registry
from resparse.data import digits
from resparse.errors import Requeue, RunFailed
from resparse.how import How
from resparse.masks import Change
from resparse.record import RunStore
from resparse.resuming import _laid
from resparse.storage import Full
from resparse.trainer import train
from resparse.training import Training
from resparse.worker import code_of, main, train_and_commit

pytestmark = pytest.mark.fault


def test_a_layer_that_an_update_empties_is_a_collapse_by_name(tmp_path, monkeypatch):
    """It stays in the statistics: the run has an outcome, with the masks before."""
    cls = registry.load("set")
    update = cls.update_masks

    def empties(self, step, layers):
        changes = update(self, step, layers)
        if step == 11:
            mask = torch.zeros_like(changes["stages.1.conv1"].mask)
            changes["stages.1.conv1"] = Change(mask)
        return changes

    monkeypatch.setattr(cls, "update_masks", empties)
    run = make_run("set")
    status, reason, outcome, _, files, _ = train_to(tmp_path, run)
    assert status == "collapsed"
    assert reason == "layer stages.1.conv1: the mask update at step 11 keeps no weight"
    assert outcome["nnz"] == counts_of(run)
    assert outcome["updates"] == 2  # steps 3 and 7
    assert files == ["final.safetensors"]


def test_a_mask_off_by_one_after_an_update_is_an_error_at_that_step(tmp_path, monkeypatch):
    """Whatever the change said: what is counted is the mask that is installed."""
    take = Full.take

    def loses_one(self, mask, *rest):
        take(self, mask, *rest)
        if len(self.shape) == 2 and loses_one.armed:  # fc
            flat = mask.view(-1)
            flat[flat.nonzero()[0]] = False

    loses_one.armed = False
    monkeypatch.setattr(Full, "take", loses_one)

    def arm(step, images, labels):
        loses_one.armed = step == 7

    n = counts_of(make_run("set"))["fc"]
    with pytest.raises(RunFailed, match=f"set, step 7: layer fc: {n - 1} active weights, {n} ann"):
        train_to(tmp_path, make_run("set"), data=Watched(arm))


@pytest.mark.parametrize("what", ["mask", "weight", "momentum"])
def test_a_density_off_by_one_after_a_load_is_an_error(what, tmp_path, monkeypatch):
    """Loading lays tensors anew; one that comes back with another number is found at once."""
    run = make_run("rigl")
    with pytest.raises(Requeue):
        train_to(tmp_path, run, stop_after=10)
    n = counts_of(run)["fc"]
    load, layer = torch.nn.Module.load_state_dict, (10, 16)

    def off(tensor, weight):
        made = _laid(tensor, weight)
        if tensor.shape == layer and (tensor.dtype == torch.bool) == (what == "mask"):
            made.view(-1)[(made == 0).view(-1).nonzero()[0]] = 1
        return made

    def weights_off(model, state):
        fc = state["fc.weight"].view(-1)
        fc[(fc == 0).nonzero()[0]] = 1.0
        return load(model, state)

    if what == "weight":
        monkeypatch.setattr(torch.nn.Module, "load_state_dict", weights_off)
    else:
        monkeypatch.setattr("resparse.resuming._laid", off)
    said = {
        "mask": f"method rigl, after step 9: layer fc: {n + 1} active weights, {n} announced",
        "weight": "method rigl, after step 9: layer fc: 1 numbers outside its mask are not 0",
        "momentum": "method rigl, after step 9: layer fc: 1 numbers outside its mask are not 0",
    }
    with pytest.raises(RunFailed, match=said[what]):
        train_to(tmp_path, run)


def test_a_cast_that_revives_a_weight_is_an_error_before_it_is_saved(tmp_path):
    """The checkpoint before stays the newest."""

    def revives(t):
        if t.progress.step == 20:
            weight = t.masks.weights["fc"].data
            weight.copy_(weight.double().add(1e-30).to(weight.dtype))  # as a lossy cast might

    run = make_run("set")
    with pytest.raises(
        RunFailed, match=r"set, after step 19: layer fc: .* outside its mask are no"
    ):
        train_to(tmp_path, run, checkpoint_steps=10, see=revives)
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-000000010"]


def provenance():
    return {"git_sha": "", "git_dirty": False}


def test_out_of_memory_says_so_and_what_to_do(tmp_path, monkeypatch):
    """A real refusal of torch's allocator; the batch stays what it is."""
    backward = Training.backward

    def greedy(self, images, labels):
        if self.progress.step == 6:
            torch.empty(1 << 58, dtype=torch.uint8)
        return backward(self, images, labels)

    monkeypatch.setattr(Training, "backward", greedy)
    run = make_run("set")
    why = main(run.config, str(tmp_path), None, How(), provenance(), code_of(run))
    assert why.startswith("out of memory on cpu at step 6, with batches of 64 in 1 parts; what was")
    assert "The batch size is never changed: compute it in more parts (--accumulate)" in why
    said = json.loads((tmp_path / run.key / "failure.json").read_text())
    assert said["reason"] == why


def test_a_gpu_out_of_memory_says_the_same(tmp_path, monkeypatch):
    def full(self, images, labels):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.00 GiB")

    monkeypatch.setattr(Training, "backward", full)
    run = make_run("set")
    why = main(run.config, str(tmp_path), None, How(), provenance(), code_of(run))
    assert why.startswith("out of memory on cpu at step 0, with batches of 64 in 1 parts")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_lets_the_step_end_and_the_run_continues_bit_for_bit(number, tmp_path):
    """In the process that trains; what listened before listens again afterwards."""
    run, store = make_run("rigl"), RunStore(tmp_path / "runs")
    arguments = {"data_root": None, "how": How(), "provenance": provenance(), "code": code_of(run)}
    before = signal.getsignal(number)

    def ring(step, images, labels):
        if step == 13:
            os.kill(os.getpid(), number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("resparse.data.load", lambda name, root: Watched(ring))
        with pytest.raises(Requeue, match="stopped after step 13 of 30: the same command contin"):
            train_and_commit(run, store, **arguments)
    assert signal.getsignal(number) == before
    assert not store.folder(run).committed
    record = train_and_commit(run, store, **arguments)
    whole = train_and_commit(run, RunStore(tmp_path / "whole"), **arguments)
    assert (record.outcome, record.curves) == (whole.outcome, whole.curves)
    events = (store.folder(run).path / "events.jsonl").read_text()
    assert '"event":"resumed","step":14' in events


@pytest.mark.long
def test_a_killed_command_exits_with_75_and_its_processes_stop_with_it(tmp_path):
    """Each after a step of its own. (SIGTERM to it: tests of torchrun; both to a run: above.)"""
    number = signal.SIGUSR1
    line = "run set --seeds 0,1 --length 20 --workers 2 --runs"
    command = [sys.executable, "-m", "resparse", *line.split(), str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        deadline = time.monotonic() + 120
        while len(list(tmp_path.glob("*/progress.json"))) < 2:
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        time.sleep(0.3)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 75, said
    assert f"resparse: stopped by {number.name}: repeat the command" in said
    assert len(list(tmp_path.glob("*/checkpoint-*/state.json"))) == 2
    assert not list(tmp_path.glob("*/failure.json"))


def test_checkpoints_are_written_by_the_clock_and_at_ends_of_epochs(tmp_path, monkeypatch):
    """Every N minutes; at an epoch's end where the last is 20 s old, whatever time() says."""
    now = [0.0]
    monkeypatch.setattr("resparse.trainer.time.monotonic", lambda: now[0])
    saved = []
    monkeypatch.setattr("resparse.trainer.save", lambda t, folder: saved.append(t.progress.step))

    def pass_time(step, images, labels):
        now[0] += 10.0

    run = make_run("set", 60)  # 14 steps an epoch, ten seconds each
    how = How(checkpoint_minutes=0.9, threads=1)
    folder = RunStore(tmp_path).at("a")
    folder.path.mkdir(parents=True)
    train(run, Watched(pass_time), counts_of(run), folder, how=how)
    assert saved == [6, 12, 18, 24, 28, 34, 40, 46, 52, 56, 60]  # not 14 and 42: 20 s after one


def test_digits_are_what_is_watched():
    """Watched data are the suite's own."""
    assert Watched(lambda *_: None).sha256 == digits.load().sha256


def test_a_run_that_is_continued_in_another_way_says_so(tmp_path):
    """Its bits are those of no one way."""
    run, store = make_run("set", 4), RunStore(tmp_path)  # two threads wait on each other busily
    run = dataclasses.replace(run, precision="fp32")
    given = {"data_root": None, "provenance": provenance(), "code": code_of(run)}
    with pytest.raises(Requeue):
        train_and_commit(run, store, how=How(threads=2), stop_after=2, **given)
    said = train_and_commit(run, store, how=How(), **given).provenance
    assert said["determinism"] == "none"
    assert [how["threads"] for how in said["begun_otherwise"]] == [2]
    alone = train_and_commit(run, RunStore(tmp_path / "b"), how=How(), **given).provenance
    assert alone["determinism"] == "bitwise"
    assert "begun_otherwise" not in alone
