"""A run of several processes that torchrun starts: one dies, one hangs, all are asked to stop."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from checkout import ROOT

from resparse import api
from resparse.files import read_json
from resparse.how import How
from resparse.record import RunStore
from resparse.runner import run_all
from resparse.worker import code_of, train_and_commit

pytestmark = [pytest.mark.fault, pytest.mark.long]  # each starts torchrun, and that Pythons

# asked at each update by every process, the second of which is hurt once
HURT = '''
"""Hurt (a test, 2026): rigl whose second process dies, or hangs, once."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from resparse.methods.rigl import Rigl


@dataclass(kw_only=True)
class Hurt(Rigl):
    mark: str = ""

    def nnz_at(self, step):
        if os.environ.get("RANK") == "1" and step == 39 and not Path(self.mark).exists():
            Path(self.mark).touch()
            if self.mark.endswith("died"):
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(600)
        return super().nnz_at(step)
'''


def configured(store, method, **fields):
    return api.configured(
        method,
        workload_is="digits_mlp",
        density=0.2,
        distribution="erk",
        seeds=[0],
        length=0.1,
        fields={"interval": 10, **fields},
        recipe={},
        parent="dense",
        parent_fields={},
        rewind=0.0,
        val=None,
        test_every_epoch=False,
        precision="fp64",
        store=store,
        data_root=None,
    )[0][0]


@pytest.mark.parametrize("how", ["died", "hung"])  # which torchrun gives 30 s to end
def test_all_processes_start_again_where_one_dies_or_is_silent(how, tmp_path):
    """They continue from the last checkpoint, here of a few steps before, and nobody waits."""
    method = tmp_path / "hurt.py"
    method.write_text(HURT)
    store = RunStore(tmp_path / "runs")
    run, plain = configured(store, str(method), mark=str(tmp_path / how)), configured(store, "rigl")
    often = How(world=2, timeout_s=20.0, checkpoint_minutes=1e-6)
    began, quiet = time.monotonic(), {"data_root": None, "notify": lambda run, what: None}
    assert run_all([run], store, how=often, workers=1, **quiet) == {}
    assert time.monotonic() - began < 300
    assert (tmp_path / how).exists()
    record = store.record(run)
    assert record.provenance["world_size"] == 2
    assert record.provenance["global_batch"] == run.recipe.batch_size
    assert record.provenance["lr"] == run.recipe.lr
    events = [json.loads(x) for x in (tmp_path / "runs" / run.key / "events.jsonl").open()]
    assert [event["event"] for event in events].count("started") == 2
    (resumed,) = (event["step"] for event in events if event["event"] == "resumed")
    assert resumed == 39  # the step that it died at was not yet saved
    assert (tmp_path / "runs" / run.key / "torchrun.log").is_file()
    # and it is the training of one process, which nothing happened to
    facts = {"git_sha": "", "git_dirty": False}
    alone = {"data_root": None, "how": How(), "provenance": facts, "code": code_of(plain)}
    outcome = train_and_commit(plain, store, **alone).outcome
    assert outcome["masks_sha256"] == record.outcome["masks_sha256"]
    assert outcome["updates"] > 3


def torchrun(tmp_path, *words):
    line = "-m torch.distributed.run --standalone --nproc-per-node=2 -m resparse run rigl"
    line += " --workload digits_mlp --precision fp32 --density 0.2 --set interval=10 --runs"
    return subprocess.Popen(
        [sys.executable, *line.split(), str(tmp_path / "runs"), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def test_a_killed_torchrun_stops_its_processes_after_a_step(tmp_path):
    """One line of the first process; SIGTERM to torchrun reaches all."""
    process = torchrun(tmp_path, "--length", "50")
    try:
        deadline = time.monotonic() + 90
        while not list((tmp_path / "runs").glob("*/progress.json")):
            assert process.poll() is None, process.communicate()[1][-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.1)
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode != 0
    assert "the same command continues" in said
    (folder,) = (tmp_path / "runs").glob("*/manifest.json")
    (checkpoint,) = folder.parent.glob("checkpoint-*")
    step = read_json(checkpoint / "state.json")["step"]
    assert step > 0
    assert not (folder.parent / "COMMITTED").exists()
    assert not (folder.parent / "failure.json").exists()


PARENT = """
import sys
from pathlib import Path
from resparse.__main__ import main
import resparse.commands.options as options
from resparse.how import How

options.how = lambda given: How(world=2)  # as --gpus 2, on a CPU
sys.exit(main(["run", *sys.argv[1:]]))
"""


@pytest.mark.parametrize("to_all", [False, True])
def test_a_killed_command_stops_its_group_with_a_checkpoint(to_all, tmp_path):
    """The command alone, or, as a batch system does, every process of it."""
    line = "rigl --workload digits_mlp --precision fp32 --density 0.2 --length 50 --runs"
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT, *line.split(), str(tmp_path)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("*/progress.json")):
            assert process.poll() is None, process.communicate()[1][-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.1)
        time.sleep(0.5)
        os.killpg(process.pid, signal.SIGTERM) if to_all else process.terminate()
        _, said = process.communicate(timeout=90)
    finally:
        process.kill()
    assert process.returncode == 75, said
    assert said.count("\n") == 1, said
    assert len(list(tmp_path.glob("*/checkpoint-*/state.json"))) == 1
    with RunStore(tmp_path).folders()[0].lock():  # nobody trains on
        pass


def test_other_commands_say_how_under_torchrun(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "resparse", "status"],
        env=os.environ | {"TORCHELASTIC_RUN_ID": "1"},
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 5
    assert "status under torchrun; valid: run, or the command once" in done.stderr
