"""A process that trains several runs: which they are, their records, and how it ends."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from checkout import ROOT
from conftest import make_run
from test_runner import quiet

from resparse import api, runner
from resparse.__main__ import main
from resparse.errors import UsageError
from resparse.how import How
from resparse.record import RunStore
from resparse.runner import groups
from resparse.slurm.cluster import Cluster

LINE = ["run", "set", "--workload", "digits_mlp", "--precision", "fp32"]
LINE += ["--set", "interval=20"]


def mlp(method="set", seed=0, **changes):
    """A short run of the small MLP in fp32."""
    run = dataclasses.replace(make_run(method, seed=seed), model="mlp_small", precision="fp32")
    return dataclasses.replace(run, **changes)


def records(root):
    """By seed, what was committed under ``root``."""
    made = [folder.record() for folder in RunStore(root).folders() if folder.committed]
    return {record.run.seed: record for record in made}


def pids(root):
    """By run, the processes that began it."""
    events = [[json.loads(line) for line in path.open()] for path in root.glob("*/events.jsonl")]
    return [[e["pid"] for e in of if e["event"] == "started"] for of in events]


def test_runs_that_are_alike_go_together_in_their_order():
    shorter = dataclasses.replace(mlp().recipe, steps=20)
    a, b, c, d = (mlp(seed=seed) for seed in range(4))
    other, more = mlp(recipe=shorter), mlp("rigl", density=0.5, recipe=shorter)
    assert groups([a, other, b, c, more, d], 3) == [[a, b, c], [other, more], [d]]
    assert groups([a, other, b], 1) == [[a], [other], [b]]


def test_three_seeds_in_one_process_are_what_they_are_alone(tmp_path):
    """Of four the last one is left, and trained as ever."""
    rest = ["--seeds", "0,1,2,3", "--length", "0.2", "--workers", "1", "--runs"]
    assert main([*LINE, *rest, str(tmp_path / "a"), "--replicates", "3"]) == 0
    assert main([*LINE, *rest, str(tmp_path / "b")]) == 0
    ours, theirs = records(tmp_path / "a"), records(tmp_path / "b")
    assert sorted(ours) == sorted(theirs) == [0, 1, 2, 3]
    for seed, record in ours.items():
        alone = theirs[seed]
        assert (record.key, record.status) == (alone.key, alone.status)
        assert record.fingerprint == alone.fingerprint
        assert record.outcome["masks_sha256"] == alone.outcome["masks_sha256"]
        assert record.outcome["top1_last"] == pytest.approx(alone.outcome["top1_last"], abs=0.3)
        assert record.provenance["replicates"] == (1 if seed == 3 else 3)
        assert record.provenance["determinism"] == "bitwise"
    began = pids(tmp_path / "a")
    assert sorted(len(of) for of in began) == [1] * 4
    assert len({of[0] for of in began}) == 2


def test_the_same_runs_together_again_have_the_same_bits(tmp_path):
    for name in ("a", "b"):
        rest = ["--seeds", "0,1", "--replicates", "2", "--length", "0.1", "--runs"]
        assert main([*LINE, *rest, str(tmp_path / name)]) == 0
    ours, again = records(tmp_path / "a"), records(tmp_path / "b")
    assert [r.outcome for r in ours.values()] == [r.outcome for r in again.values()]


METHOD = '''"""Static, and gives up at its first update."""

from dataclasses import dataclass

from resparse.method import Method


@dataclass(kw_only=True)
class Mine(Method):
    """Moves nothing."""

    def updates_at(self, step):
        return step == 3

    def update_masks(self, step, layers):
        raise ValueError("no idea")
'''


def test_a_run_that_fails_in_a_group_fails_by_itself(tmp_path):
    """Its reason and trace lie in its folder; the other is committed."""
    store, file = RunStore(tmp_path / "runs"), tmp_path / "mine.py"
    file.write_text(METHOD)
    common = {
        **{"workload_is": "digits_mlp", "density": 0.1, "distribution": "erk", "length": 0.1},
        **{"recipe": {}, "parent": "dense", "parent_fields": {}, "rewind": 0.0, "val": None},
        **{"test_every_epoch": False, "precision": "fp32", "engine": "masked"},
        **{"store": store, "data_root": None},
    }
    (bad,), _ = api.configured(str(file), seeds=[0], fields={}, **common)
    (good,), _ = api.configured("set", seeds=[1], fields={"interval": 20}, **common)
    heard = []
    failed = runner.run_all(
        [bad, good],
        store,
        data_root=None,
        how=How(replicates=2),
        workers=2,
        notify=lambda run, what: heard.append((run.key, what)),
    )
    assert list(failed) == [bad.key]
    assert failed[bad.key].startswith("method mine, step 3")
    assert "no idea" in failed[bad.key]
    assert store.record(good).status in ("completed", "collapsed")
    failure = json.loads((store.folder(bad).path / "failure.json").read_text())
    assert failure["reason"] == failed[bad.key]
    assert "update_masks" in failure["trace"]
    assert not (store.folder(good).path / "failure.json").exists()
    assert heard[:2] == [(bad.key, "running"), (good.key, "running")]
    assert sorted(heard[2:]) == sorted([(bad.key, "failed"), (good.key, "done")])


def test_one_that_cannot_start_does_not_keep_the_other(tmp_path):
    """Of this density no layer keeps a weight."""
    store = RunStore(tmp_path)
    good, bad = mlp(seed=1), mlp(seed=2, density=1e-9)
    where = {"data_root": None, "how": How(replicates=2), "workers": 1, "notify": quiet}
    failed = runner.run_all([good, bad], store, **where)
    assert list(failed) == [bad.key]
    assert store.folder(good).committed


def killed(tmp_path, number, who):
    """The command, signalled once both runs are under way; its exit code and words."""
    line = [*LINE, "--seeds", "0,1", "--length", "4", "--replicates", "2"]
    line += ["--checkpoint-minutes", "0.005", "--runs", str(tmp_path)]
    command = [sys.executable, "-m", "resparse", *line]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        deadline = time.monotonic() + 120
        while len(list(tmp_path.glob("*/checkpoint-*/state.json"))) < 4:
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        ((one,), (other,)) = pids(tmp_path)
        assert one == other
        os.kill(process.pid if who == "command" else one, number)
        _, said = process.communicate(timeout=60)
    return process.returncode, said


def newest(tmp_path):
    """The steps of each run's newest checkpoint."""
    return [max(p.name for p in run.glob("checkpoint-*")) for run in tmp_path.glob("*")]


@pytest.mark.fault
@pytest.mark.long
def test_a_command_that_is_stopped_saves_all_at_one_step(tmp_path):
    code, said = killed(tmp_path, signal.SIGTERM, "command")
    assert code == 75, said
    assert "resparse: stopped by SIGTERM: repeat the command" in said
    steps = newest(tmp_path)
    assert steps[0] == steps[1]
    assert not list(tmp_path.glob("*/failure.json"))


@pytest.mark.fault
@pytest.mark.long
def test_a_process_that_is_killed_fails_all_its_runs_and_they_go_on(tmp_path):
    code, said = killed(tmp_path, signal.SIGKILL, "process")
    assert code == 2, said
    assert "its process ended with exit code -9 (SIGKILL" in said
    line = [*LINE, "--seeds", "0,1", "--length", "4", "--replicates", "2", "--runs", str(tmp_path)]
    assert main(line) == 0
    assert [len(of) for of in pids(tmp_path)] == [2, 2]
    for path in tmp_path.glob("*/events.jsonl"):
        assert '"event":"resumed"' in path.read_text()
    assert {r.provenance["determinism"] for r in records(tmp_path).values()} == {"bitwise"}


@pytest.mark.parametrize(
    ("how", "precision", "said"),
    [
        ({}, "portable", "replicates = 3 in portable numerics; valid: none of these"),
        ({}, "fp16", "replicates = 3 in fp16, .*valid: another precision, or replicates = 1"),
        ({"accumulate": 2}, "fp32", "replicates = 3 with accumulate = 2; valid: accumulate = 1, "),
        ({"world": 2, "device": "cuda"}, "fp32", "replicates = 3 with world = 2; valid: world = 1"),
        ({"compile": True, "device": "cuda"}, "fp32", "with compile = True; valid: compile = Fal"),
        ({"replicates": 0}, "fp32", "replicates = 0; valid: 1 or more"),
    ],
)
def test_what_replicates_do_not_go_with(how, precision, said):
    How(replicates=3).require("fp32", 64)
    with pytest.raises(UsageError, match=said):
        How(**({"replicates": 3} | how)).require(precision, 64)


def test_a_network_without_batched_products_is_refused_before_anything_trains(tmp_path, capsys):
    line = ["run", "set", "--precision", "fp32", "--replicates", "2", "--runs", str(tmp_path)]
    assert main(line) == 5
    assert "replicates of model resnet8: statistics of its batch norm" in capsys.readouterr().err
    assert not list(tmp_path.glob("*/manifest.json"))


def test_jobs_of_slurm_train_a_run_each():
    with pytest.raises(UsageError, match="--replicates 2 with --slurm, whose jobs train a run"):
        Cluster().parameters(How(replicates=2))
