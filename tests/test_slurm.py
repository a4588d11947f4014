"""A table through a real Slurm of one node: preempted, killed, failed, and complete in the end."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import checkout
import pytest
import slurm_node
from slurm_node import said, until

pytestmark = pytest.mark.slurm

TABLE = ("-m", "resparse", "reproduce", "itop/table2")
SLURM = ("--slurm", "--workers", "2", "--partition", "all", "--time", "30", "--json")
ONE = {"sparsities = [0.9, 0.8]": "sparsities = [0.9]", "seeds = [0, 1, 2]": "seeds = [0]"}


@pytest.fixture(scope="module")
def folder(request, tmp_path_factory):
    """A checkout whose table has three runs, of which LTR's starts from GMP's; Slurm is there."""
    if "slurm" not in request.config.getoption("markexpr"):
        pytest.skip("starts a Slurm: nox -s slurm")
    slurm_node.install()
    rows = ["Static", "GMP", "LTR"]
    folder = checkout.tiny_checkout(tmp_path_factory.mktemp("table"), rows=rows, epochs=100)
    toml = folder / checkout.TABLE
    for three, one in ONE.items():
        assert three in toml.read_text()
        toml.write_text(toml.read_text().replace(three, one))
    published = folder / "baselines/published/itop/table2.csv"
    lines = published.read_text().splitlines(keepends=True)
    published.write_text("".join(line for line in lines if line.split(",")[1] != "0.8"))
    checkout.commit(folder)
    with pytest.MonkeyPatch.context() as patch, slurm_node.slurm(tmp_path_factory.mktemp("slurm")):
        patch.setenv("SLURM_CONF", os.environ["SLURM_CONF"])
        yield folder


def reproduce(folder, *options):
    """(exit code, the table's JSON, what is said beside it)."""
    process = checkout.python(folder, *TABLE, *options)
    out, err = process.communicate(timeout=200)
    print(f"\n$ reproduce {' '.join(options)}\n{err}exit code {process.returncode}", flush=True)
    assert "Traceback" not in err
    return process.returncode, json.loads(out), err


def runs(folder):
    """Method -> its run's folder, of those begun."""
    found = {}
    for manifest in (folder / "runs").glob("*/manifest.json"):
        found[json.loads(manifest.read_text())["config"]["method"]] = manifest.parent
    return found


def events(folder, method, name):
    """The events of this name of a method's run so far."""
    path = runs(folder).get(method, folder) / "events.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    return [event for event in map(json.loads, lines) if event["event"] == name]


def training(folder, method, attempt):
    """Whether a run's attempt, from 1, has trained a step."""
    path = runs(folder).get(method, folder) / "progress.json"
    return len(events(folder, method, "started")) == attempt and path.is_file()


def queue():
    """Job -> (name, state) of all that are queued."""
    lines = said("squeue", "--noheader", "--array", "--format=%i|%j|%T").splitlines()
    return {job: (name, state) for job, name, state in (line.split("|") for line in lines)}


def test_a_table_survives_what_happens_on_a_cluster(folder):
    code, table, said_first = reproduce(folder, *SLURM, "--sbatch", "hold")
    assert (code, "Slurm: 3 submitted" in said_first) == (0, True)
    held = queue()
    assert [state for _, state in held.values()] == ["PENDING"] * 3

    code, _, said_again = reproduce(folder, *SLURM)  # nothing is submitted twice
    assert (code, "submitted" in said_again) == (0, False)
    assert "3 pending (JobHeldUser)" in said_again
    assert queue() == held
    jobs = sorted({job.split("_")[0] for job in held}, key=int)
    for job in jobs:
        said("scontrol", "release", job)

    until(lambda: all(training(folder, m, 1) for m in ("static", "gmp")), "two trainings", 120)
    names = {name for name, state in queue().values() if state == "RUNNING"}
    assert names == {path.name for path in runs(folder).values()}
    subprocess.run(
        ["sbatch", "--partition=urgent", "--ntasks=2", "--output=/dev/null", "--wrap=sleep 1"],
        check=True,
    )
    until(lambda: all(training(folder, m, 2) for m in ("static", "gmp")), "second attempts", 120)
    resumed = [events(folder, m, "resumed")[0]["step"] for m in ("static", "gmp")]
    assert min(resumed) > 0  # each finished its step and wrote a checkpoint
    os.kill(events(folder, "static", "started")[1]["pid"], signal.SIGKILL)
    job = next(job for job, (name, _) in queue().items() if name == runs(folder)["gmp"].name)
    said("timeout", "2", "scancel", "--signal=USR1", job)  # as ahead of a time limit
    until(lambda: events(folder, "gmp", "resumed")[1:], "second resuming of GMP", 120)
    until(lambda: not queue(), "end of all jobs", 300)

    code, table, said_then = reproduce(folder, *SLURM)
    key = runs(folder)["static"].name
    failed = re.search(rf"failed: run {key}, static, .* code -9 \(log: (.*)\)", said_then)
    assert code == 2
    assert f"run {key} ended with exit code -9" in Path(failed[1]).read_text()
    assert "Slurm: 1 failed" in said_then
    assert not queue()
    code, _, said_then = reproduce(folder, *SLURM)
    assert (code, "Slurm: 1 submitted" in said_then) == (0, True)
    assert not (folder / "reports/itop").exists()
    until(lambda: not queue(), "end of the job", 120)

    code, table, said_last = reproduce(folder, *SLURM)
    assert (code, said_last) == (0, "")
    assert (folder / "reports/itop/table2.csv").is_file()
    code, here, _ = reproduce(folder, "--runs", "here", "--workers", "2", "--json")
    assert (code, table) == (0, here)
    assert [len(row["cells"]["top1_last"]["seeds"]) for row in table["rows"]] == [1, 1, 1]
