"""What is submitted, said and collected, with programs in place of Slurm's that keep a queue."""

import json
import re

import pytest
from conftest import make_run

from resparse.__main__ import main
from resparse.errors import Missing, UsageError
from resparse.how import How
from resparse.record import RunStore
from resparse.slurm import arrays as slurm
from resparse.slurm.cluster import Cluster


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "runs")


STATIC, LTR = make_run("static"), make_run("ltr")
RUNS = [STATIC, LTR.parent, LTR]


def submit(store, runs=RUNS, workers=None, how=None, **cluster):
    """(failures, what is said)."""
    said = []
    failed = slurm.run_all(
        runs,
        store,
        data_root=None,
        how=how or How(),
        workers=workers,
        cluster=Cluster(**cluster),
        say=said.append,
    )
    return failed, said


def jobs(queue):
    return sorted(path.name for path in (queue / "jobs").iterdir())


def script(store, number):
    """The options in the script of a submission."""
    text = next((store.root / "slurm" / number).glob("*_submission.sh")).read_text()
    return dict(re.findall(r"^#SBATCH --([\w-]+)=?(.*)$", text, re.MULTILINE))


def end(queue, *names, state=None):
    for name in names:
        path = queue / "jobs" / name
        path.write_text(
            path.read_text().replace("PENDING|Priority", state)
        ) if state else path.unlink()


def test_arrays_of_parents_and_then_children_and_nothing_twice(queue, store):
    failed, said = submit(store, workers=1)
    assert failed == {}
    assert said == [
        f"Slurm: 3 submitted; logs: {store.root / 'slurm'}; "
        "the same command collects, and repeats what failed"
    ]
    assert jobs(queue) == ["11_0", "11_1", "12"]
    first, second = script(store, "1"), script(store, "2")
    assert (first["array"], "dependency" in first) == ("0-1%1", False)
    assert second["dependency"] == "afterany:11"
    assert first["signal"] == "USR1@120"  # submitit's would be USR2
    assert "requeue" in first

    end(queue, "11_0", "11_1", state="RUNNING|None")
    failed, said = submit(store)
    assert jobs(queue) == ["11_0", "11_1", "12"]
    assert said[0].startswith("Slurm: 1 pending (Priority), 2 running; ")
    other = make_run("ltr", seed=1)
    submit(store, [*RUNS, other.parent, make_run("set"), other])
    assert script(store, "3")["array"] == "0-1%2"
    assert script(store, "4")["dependency"] == "afterany:13"


def test_a_child_waits_for_a_parent_that_an_earlier_command_submitted(queue, store):
    submit(store, RUNS[:2])
    submit(store)
    assert script(store, "2")["dependency"] == "afterany:11"


def test_a_command_killed_while_it_submits_leaves_no_job_unknown(queue, store):
    submit(store, [STATIC])
    batch = store.root / "slurm" / "1"
    next(batch.glob("*_submission.sh")).unlink()  # written when sbatch has answered
    assert submit(store, [STATIC])[1][0].startswith("Slurm: 1 pending (Priority); ")
    end(queue, "11")  # sbatch was never reached: there is nothing to be named
    failed, said = submit(store, [STATIC])
    assert (failed, said[0][:18]) == ({}, "Slurm: 1 submitted")


def test_a_failed_run_is_named_once_with_its_log_and_submitted_again(queue, store):
    submit(store)
    log = store.root / "slurm" / "1" / "11_0_0_log.out"
    began = "submitit INFO (now) - Starting with JobEnvironment(job_id=11_0)\n"
    killed = "slurmstepd-n1: error: *** JOB 7 ON n1 CANCELLED AT now DUE TO TIME LIMIT ***\n"
    log.write_text(
        f"{began}slurmstepd-n1: error: *** JOB REQUEUE ***\n{began}last words\nsrun: x\n"
    )
    end(queue, "11_0")
    failed, said = submit(store)
    assert failed == {STATIC.key: f"last words (log: {log})"}
    assert said[0].startswith(
        f"failed: run {STATIC.key}, static, resnet8 on digits, sparsity 0.8, "
    )
    assert said[0].endswith(f"seed 0: last words (log: {log})")
    assert said[1].startswith("Slurm: 1 failed, 2 pending (Priority); ")
    assert jobs(queue) == ["11_1", "12"]

    failed, said = submit(store)
    assert (failed, jobs(queue)) == ({}, ["11_1", "12", "13"])
    assert said[0].startswith("Slurm: 2 pending (Priority), 1 submitted; ")
    log = store.root / "slurm" / "3" / "13_0_log.out"
    log.write_text(f"{began}last words\n{killed}")
    end(queue, "13")
    assert submit(store)[0] == {STATIC.key: f"{killed.strip()} (log: {log})"}

    submit(store)
    folder = store.folder(STATIC).path
    folder.mkdir()
    (folder / "failure.json").write_text(json.dumps({"reason": "disk full", "trace": ""}))
    end(queue, "14")
    assert submit(store)[0][STATIC.key].startswith("disk full (log: ")
    submit(store)
    assert not (folder / "failure.json").exists()
    end(queue, "15")
    assert (
        "its job ended without a word: cancelled, or its node lost" in submit(store)[0][STATIC.key]
    )


def test_the_child_of_a_failed_parent_is_not_submitted(queue, store):
    submit(store, RUNS[:2])
    end(queue, "11_0", "11_1")
    failed, said = submit(store)
    assert failed[LTR.key] == f"its parent {LTR.parent.key} failed"
    assert (len(failed), len(said), jobs(queue)) == (3, 4, [])


def test_what_was_committed_meanwhile_is_neither_failed_nor_submitted(queue, store):
    submit(store)
    end(queue, "11_0", "11_1", "12")
    for run in RUNS:
        store.folder(run).path.mkdir()
        (store.folder(run).path / "COMMITTED").touch()
    assert submit(store) == ({}, [])
    assert jobs(queue) == []


def test_jobs_of_others_are_none_of_the_store(queue, store, tmp_path):
    (queue / "jobs" / "3_[4-9%2]").write_text("PENDING|None|/elsewhere/slurm/1/x.sh")
    (queue / "jobs" / "4").write_text("RUNNING|None|(null)")
    submit(store, [STATIC])
    other = RunStore(tmp_path / "others")
    submit(other, [STATIC])
    assert jobs(queue) == ["11", "12", "3_[4-9%2]", "4"]


def test_where_slurm_does_not_answer_nothing_is_submitted(queue, store, monkeypatch):
    (queue / "down").touch()
    with pytest.raises(Missing, match=r"squeue fails \(slurm_load_jobs error: Unable to contact\)"):
        submit(store)
    assert jobs(queue) == []
    monkeypatch.setenv("PATH", str(queue))
    with pytest.raises(Missing, match="no squeue here; valid: --slurm on a machine of a cluster"):
        submit(store)


def test_room_on_the_disk_is_asked_for_what_is_submitted(queue, store, monkeypatch):
    asked = []
    monkeypatch.setattr(slurm, "require_room", lambda todo, *rest: asked.append((todo, *rest)))
    submit(store, RUNS[:2], workers=1)
    submit(store)
    assert asked == [(RUNS[:2], store, 1), ([LTR], store, 1)]


def test_what_slurm_refuses_is_said_and_leaves_nothing(queue, store):
    (queue / "refusal").write_text("sbatch: error: invalid partition specified: x\n")
    with pytest.raises(Missing, match=r"refuses the jobs: .*invalid partition specified: x"):
        submit(store, partition="x")
    (queue / "refusal").unlink()
    assert submit(store)[1][0].startswith("Slurm: 3 submitted; ")


def test_options_reach_sbatch(queue, store, monkeypatch):
    monkeypatch.setenv("RESPARSE_LOADER", "ffcv")
    sbatch = ("account=mine", "cpus-per-task=6", "exclusive", "comment=a=b c")
    how = How(device="cuda", world=2, threads=2)
    submit(store, [STATIC], how=how, partition="gpu", time_min=6, sbatch=sbatch)
    given = script(store, "1")
    wanted = {"account": "mine", "cpus-per-task": "6", "exclusive": "", "comment": "'a=b c'"}
    wanted |= {"partition": "gpu", "time": "6", "gpus-per-node": "2", "signal": "USR1@90"}
    assert {name: given[name] for name in wanted} == wanted
    assert Cluster(gpus_per_node=4).parameters(how)["gpus_per_node"] == 4
    assert Cluster().parameters(How())["gpus_per_node"] is None
    with pytest.raises(UsageError, match="--gpus-per-node 1 with --gpus 2"):
        Cluster(gpus_per_node=1).parameters(how)


@pytest.mark.parametrize(
    "text", ["array=0-3", "job-name=x", "time=5", "=5", "mem=", "-p=x", "Mem=1"]
)
def test_an_option_of_sbatch_that_is_none_or_ours_is_refused(text):
    with pytest.raises(UsageError, match=f"--sbatch {text}; valid: a long option of sbatch"):
        Cluster(sbatch=(text,)).parameters(How())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--partition", "gpu"], "--partition without --slurm, which alone uses it"),
        (["--sbatch", "mem=1G"], "--sbatch without --slurm, which alone uses it"),
        (["--slurm", "--plan"], "--slurm: --plan does not use it"),
        (["--slurm", "--sbatch", "array=1"], "--sbatch array=1; valid: a long option of sbatch"),
        (["--slurm", "--time", "0"], "'0'; valid: a whole number, 1 or more"),
    ],
)
def test_options_that_go_with_nothing_are_refused(options, said, capsys):
    assert main(["reproduce", "itop/table2", *options]) == 5
    assert said in capsys.readouterr().err


def test_the_command_reports_what_is_there_and_says_the_rest_aside(queue, store, tmp_path, capsys):
    table = ["reproduce", "itop/table2", "--slurm", "--json", "--only", "Static", "--seeds", "0"]
    table += ["--sparsity", "0.9", "--runs", str(store.root), "--out", str(tmp_path / "out")]
    assert main(table) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["rows"][0]["cells"]["top1_last"]["verdict"] == "NOT RUN"
    assert err.startswith("Slurm: 1 submitted; ")
    end(queue, "11")
    assert main(table) == 2
    out, err = capsys.readouterr()
    assert json.loads(out)["rows"][0]["cells"]["top1_last"]["verdict"] == "FAILED"
    assert "its job ended without a word" in err
