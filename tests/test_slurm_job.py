"""A job of Slurm: what it trains, and what it does where it is told to stop."""

import os
import signal
import subprocess
import threading
import time

import pytest
from conftest import make_run

from resparse.how import How
from resparse.precision import PORTABLE_ENV
from resparse.record import RunStore
from resparse.slurm import arrays as slurm
from resparse.slurm import job as slurm_job
from resparse.slurm.cluster import Cluster


@pytest.mark.fault
@pytest.mark.long
def test_a_job_trains_its_run_in_portable_numerics(queue, tmp_path):
    run, store = make_run("static"), RunStore(tmp_path / "runs")
    options = {"data_root": None, "how": How(), "workers": None, "cluster": Cluster()}
    assert slurm.run_all([run], store, **options, say=print) == {}
    script = next((store.root / "slurm" / "1").glob("*_submission.sh"))
    plain = {name: value for name, value in os.environ.items() if name not in PORTABLE_ENV}
    job = plain | {"SLURM_JOB_ID": "11"}
    subprocess.run(["bash", str(script)], check=True, env=job, capture_output=True)
    record = store.record(run)
    assert record.provenance["cpu_capability"] == "DEFAULT"
    assert record.outcome["top1_last"] > 20
    assert (queue / "scontrol").read_text() == f"update JobId=11 JobName={run.key}\n"


@pytest.fixture
def in_job(queue, monkeypatch):
    """As in task 0 of array 11, whose raw number is another."""
    monkeypatch.setenv("SUBMITIT_EXECUTOR", "slurm")
    for name, value in {"JOB_ID": "12", "ARRAY_JOB_ID": "11", "ARRAY_TASK_ID": "0"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    return queue


@pytest.mark.parametrize(
    ("ends", "how", "state", "requeued"),
    [
        (os._exit, 75, "RUNNING", True),
        (signal.raise_signal, signal.SIGTERM, "RUNNING", True),
        (os._exit, 75, "COMPLETING", False),  # cancelled, or requeued by Slurm
        (os._exit, 1, "RUNNING", False),
        (signal.raise_signal, signal.SIGKILL, "RUNNING", False),
    ],
)
def test_a_job_whose_training_was_told_to_stop_is_requeued(
    in_job, monkeypatch, ends, how, state, requeued
):
    monkeypatch.setattr(slurm_job, "_train", ends)
    (in_job / "state").write_text(state)
    with pytest.raises(SystemExit, match="the process of run abc ended with exit code"):
        slurm_job.Job()("abc", {}, how)
    told = (in_job / "scontrol").read_text().splitlines()
    assert told == ["update JobId=11_0 JobName=abc", *["requeue 11_0"] * requeued]


def test_a_job_that_is_stopped_before_its_training_goes_on_too():
    assert slurm_job.Job().checkpoint("abc", {}).args == ("abc", {})


def test_a_job_ends_well_where_its_training_does(in_job, monkeypatch):
    monkeypatch.setattr(slurm_job, "_train", os._exit)
    slurm_job.Job()("abc", {}, 0)
    assert (in_job / "scontrol").read_text() == "update JobId=11_0 JobName=abc\n"


def test_a_signal_stops_the_training_and_gives_what_goes_on(in_job, monkeypatch):
    """As submitit does it: in the handler, while the job waits for the training."""
    monkeypatch.setattr(slurm_job, "_train", time.sleep)
    job, made = slurm_job.Job(), []

    def handler(number, frame):
        made.append(job.checkpoint("abc", {"A": "b"}, 600))
        raise SystemExit(255)

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        with pytest.raises(SystemExit) as stopped:
            job("abc", {"A": "b"}, 600)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert stopped.value.code == 255
    assert job.process.exitcode == -signal.SIGTERM
    assert made[0].args == ("abc", {"A": "b"}, 600)
    assert isinstance(made[0].function, slurm_job.Job)
