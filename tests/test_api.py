"""resparse.run and resparse.records, and the command run: with files from outside, end to end."""

import json
import os
import subprocess
import sys
import textwrap

import pandas as pd
import pytest
import torch
from test_resolve import METHOD, WORKLOAD, forget, written

import resparse
from resparse import forking, frame
from resparse.__main__ import main
from resparse.errors import RunFailed, UsageError
from resparse.record import RunStore

__all__ = ["forget"]  # a fixture for this file as well
SHORT = {"recipe": {"epochs": 1}}


@pytest.fixture
def runs(tmp_path):
    return tmp_path / "runs"


def test_own_method_on_own_workload(tmp_path, runs):
    method, workload = tmp_path / "mine.py", tmp_path / "wide.py"
    written(method, METHOD)
    written(workload, WORKLOAD)

    def train(**changes):
        return resparse.run(str(method), workload=str(workload), runs=runs, **(SHORT | changes))

    first = train(fields={"number": 5})
    assert first.status in ("completed", "collapsed")
    assert (first.run.method, first.run.model, first.run.dataset) == ("mine", "wide", "wide")
    assert first.run.fields["number"] == 5
    assert first.run.recipe.steps == 14  # one epoch of 897 // 64 batches
    assert first.outcome["maskable"] == 16 * 64 + 10 * 16
    assert sum(first.outcome["nnz"].values()) == round(0.1 * first.outcome["maskable"])
    assert first.provenance["command"].startswith("resparse.run('")

    folder = RunStore(runs).folder(first.run).path
    before = (folder / "record.json").stat().st_mtime_ns
    assert train(fields={"number": 5}) == first
    assert (folder / "record.json").stat().st_mtime_ns == before  # not trained again

    method.write_text(METHOD.replace("= 3", "= 4"))
    edited = train(fields={"number": 5})
    assert edited.key != first.key
    assert edited.outcome["weights_sha256"] == first.outcome["weights_sha256"]  # static, both
    workload.write_text(WORKLOAD.replace("WIDTH = 16", "WIDTH = 8"))
    assert train(fields={"number": 5}).outcome["maskable"] == 8 * 64 + 10 * 8

    found = resparse.records(runs)
    assert len(found) == 3
    assert list(found["method"]) == ["mine"] * 3
    row = found.loc[found["key"] == first.key].iloc[0]
    assert row["nnz"] == 118
    assert row["top1_last"] == first.outcome["top1_last"]
    assert row["train_flops"] == sum(first.outcome["train_flops"].values())
    assert row["git_dirty"] == first.provenance["git_dirty"]
    assert row["fields.number"] == 5
    assert row["fields.order"] == "replace"
    later = {"nnz_change", "rs_fall", "rs_miss", "train_top1"}  # of records since they have them
    assert set(row.index) == {*frame.COLUMNS, *later, "fields.number", "fields.order"}

    (folder / "final.safetensors").write_bytes(b"damaged")
    with pytest.raises(RunFailed, match=f"{first.key}/final.safetensors is not what was committed"):
        resparse.records(runs)
    method.write_text(METHOD)
    workload.write_text(WORKLOAD)
    with pytest.raises(RunFailed, match=first.key):
        train(fields={"number": 5})


def test_a_ticket_starts_from_the_parent_that_is_asked_for(runs, capsys):
    how = {"workload": "digits_mlp", "runs": runs, "density": 0.2, "seed": 3} | SHORT
    pruning = {"interval": 1, "begin": 0.1, "end": 0.8}
    late = {"parent": "gmp", "parent_fields": pruning, "rewind": 0.5}
    found = resparse.run("ltr", **late, **how)
    above = found.run.parent
    assert (above.method, above.density, above.seed) == ("gmp", 0.2, 3)
    assert above.fields["interval"] == 1
    assert above.snapshots == (found.run.start_step,) == (round(0.5 * above.recipe.steps),)
    ended = RunStore(runs).record(above)
    assert found.outcome["masks_sha256"] == ended.outcome["masks_sha256"]
    assert found.outcome["train_flops"]["parent"] == sum(ended.outcome["train_flops"].values())
    asked = ["run", "ltr", "--parent", "gmp", "--set-parent", "interval=50", "--runs", str(runs)]
    assert main([*asked, "--set-parent", "alpha=1"]) == 5
    assert "--set-parent alpha=1: method gmp has no such field" in capsys.readouterr().err


def test_a_record_in_the_wrong_folder_is_named(runs):
    record = resparse.run("static", workload="digits_mlp", runs=runs, **SHORT)
    assert frame.row(record)["fields.order"] == "replace"
    folder = RunStore(runs).folder(record.run).path
    marker = json.loads((folder / "COMMITTED").read_text())
    value = json.loads((folder / "record.json").read_text())
    value["schema"] = 99
    (folder / "record.json").write_text(json.dumps(value))
    marker["record.json"] = resparse.record.file_sha256(folder / "record.json")
    (folder / "COMMITTED").write_text(json.dumps(marker))
    with pytest.raises(RunFailed, match=f"{folder}: record schema 99"):
        resparse.records(runs)


def test_an_empty_store_has_the_columns(runs):
    found = resparse.records(runs)
    assert isinstance(found, pd.DataFrame)
    assert len(found) == 0
    assert tuple(found.columns) == frame.COLUMNS


def test_a_run_that_fails_says_why(tmp_path, runs):
    text = METHOD + "    def init_masks(self, layers):\n        raise KeyError('no such layer')\n"
    file = written(tmp_path / "mine.py", text)
    with pytest.raises(
        RunFailed, match=r"mine, seed 0\) failed: method mine, before step 0: .*no such"
    ):
        resparse.run(str(file), runs=runs, **SHORT)
    assert len(resparse.records(runs)) == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method": "rigI"}, "unknown method 'rigI'"),
        ({"workload": "digitz"}, "unknown workload 'digitz'"),
        ({"density": 0.0}, r"density 0\.0; valid: above 0"),
        ({"distribution": "erc"}, "'erc'; valid: dense, uniform"),
        ({"seed": -1}, "-1"),
        ({"length": 0}, "length = 0; valid"),
        ({"fields": {"alpfa": 1}}, "no field 'alpfa'"),
        ({"recipe": {"epoch": 1}}, "'epoch'"),
        ({"device": "tpu"}, "device 'tpu'; valid: auto, cpu, cuda"),
        ({"device": "cuda"}, r"^device cuda: resnet8 trains in portable numerics; valid: cpu$"),
        ({"data_root": "/nowhere"}, "'/nowhere' is not a folder"),
        ({"method": "ltr"}, "valid: a parent that prunes, as in"),
        ({"method": "ltr", "parent": "lth"}, "'lth'; valid: a method that starts from scratch"),
        ({"method": "ltr", "parent": "gmp", "rewind": 1.0}, r"rewind = 1\.0; valid: a share"),
        ({"method": "ltr", "parent": "gmp", "rewind": 1e-4}, r"rewind = 0\.0001 is step 0 of"),
        ({"parent": "gmp"}, "valid: none, method rigl starts from scratch"),
    ],
)
def test_what_is_not_valid_is_refused_before_anything_trains(runs, changes, words):
    with pytest.raises(UsageError, match=words):
        resparse.run(**({"method": "rigl", "runs": runs} | changes))
    assert not list(runs.glob("*/record.json"))


@pytest.mark.fault
@pytest.mark.long
def test_a_script_without_a_guard_and_two_precisions(tmp_path, runs):
    """The script is not run again by its trainings; fp32 and portable do not mix."""
    plain = WORKLOAD.replace('"portable"', '"fp32"')
    written(tmp_path / "plain.py", plain)
    script = f"""
        import os, sys
        import resparse
        assert "torch" not in sys.modules and "pandas" not in sys.modules
        print("once")
        for name, density in (("plain.py", 0.1), ("digits_mlp", 0.1), ("plain.py", 0.2)):
            how = dict(workload=name, recipe={{"epochs": 1}}, runs={str(runs)!r})
            record = resparse.run("static", density=density, **how)
            print(record.run.precision, record.provenance["cpu_capability"])
        assert "MKL_CBWR" not in os.environ
    """
    written(tmp_path / "script.py", textwrap.dedent(script))
    kept = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(frame.ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env=kept,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as script_process:
        out, err = script_process.communicate()
    assert err == ""
    first, *lines = out.splitlines()
    assert first == "once"
    assert [line.split()[0] for line in lines] == ["fp32", "portable", "fp32"]
    assert lines[1] == "portable DEFAULT"
    assert lines[0] == lines[2]


def tells_capability(end):
    end.send(torch.backends.cpu.get_cpu_capability())


def test_a_fork_server_of_the_callers_is_refused_for_portable_runs(runs, monkeypatch):
    forking.context("portable")
    monkeypatch.setattr(forking, "_serving", {})
    with pytest.raises(RunFailed, match="fork server that was started elsewhere"):
        forking.context("portable")


def test_fork_servers_of_both_numerics_stay_and_portable_ones_are():
    """They alternate without another start."""
    server, found = forking.forkserver._forkserver, {}
    for precision in ("portable", "fp32", "portable", "fp64", "bf16"):
        context = forking.context(precision)
        news, end = context.Pipe(duplex=False)
        child = context.Process(target=tells_capability, args=(end,))
        forking.start(child)
        end.close()
        found.setdefault(precision == "portable", set()).add((server._forkserver_pid, news.recv()))
        child.join()
    ((portable, default),), ((other, _),) = found[True], found[False]
    assert default == "DEFAULT"
    assert portable != other
    assert {portable, other} <= set(forking._serving)


@pytest.fixture
def no_server(monkeypatch):
    """As before the first fork server, and quick ones; those that other tests use stay."""
    server = forking.forkserver._forkserver
    names = ("_forkserver_alive_fd", "_forkserver_pid", "_forkserver_address")
    kept = {name: getattr(server, name) for name in names}
    for name in names:
        setattr(server, name, None)
    for name, value in {"_serving": {}, "_waiting": {}, "_PRELOAD": []}.items():
        monkeypatch.setattr(forking, name, value)
    yield server
    if server._forkserver_alive_fd is not None:  # the last one that the test started ends
        os.close(server._forkserver_alive_fd)
    for name, value in kept.items():
        setattr(server, name, value)


def test_the_fork_server_is_another_once_code_was_edited(no_server, monkeypatch):
    server = no_server
    forking.context("fp32")
    forking.context("portable")
    first = server._forkserver_pid
    forking.context("portable")
    assert server._forkserver_pid == first
    monkeypatch.setattr(forking, "_code", lambda: (("edited.py", 1),))
    forking.context("portable")
    assert server._forkserver_pid != first
    assert list(forking._serving) == [server._forkserver_pid]  # nor one of other numerics
    assert forking._waiting == {}


def test_the_command_prints_a_line_a_record(tmp_path, runs, capsys):
    file = written(tmp_path / "wide.py", WORKLOAD)
    common = ["run", "set", "--workload", str(file), "--runs", str(runs), "--workers", "2"]
    common += ["--set", "interval=5", "--set", "reset_regrown=true", "--seeds", "0,1"]
    assert main(common) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "2 runs, 0 already done, 2 to train"
    assert ["seed 0: top-1 " in lines[-2], "seed 1: top-1 " in lines[-1]] == [True, True]
    assert "set on wide/wide, density 0.1 (erk)" in lines[-1]
    assert main([*common, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [record["config"]["seed"] for record in found] == [0, 1]
    assert found[0]["config"]["fields"]["interval"] == 5
    assert found[0]["config"]["fields"]["reset_regrown"] is True
    assert f"{found[0]['outcome']['top1_last']:.2f} %" in lines[-2]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--set", "intervall=5"], ["--set intervall=5", "alpha=0.3, floor=", "interval=100"]),
        (["--set", "interval"], ["--set interval:", "interval=100"]),
        (["--set", "interval=a"], ["--set interval=a: 'a'", "valid: a int"]),
        (["--set", "reset_regrown=1"], ["reset_regrown=1", "true or false"]),
        (["--seeds", "a"], ["--seeds 'a'"]),
    ],
)
def test_bad_command_lines(given, words, runs, capsys):
    assert main(["run", "set", "--runs", str(runs), *given]) == 5
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    for word in words:
        assert word in said


def test_the_line_of_a_run_names_the_layers_that_pruning_would_have_emptied(runs, capsys):
    common = ["run", "gmp", "--length", "0.05", "--set", "interval=5", "--set", "scope=global"]
    for density, named in (("0.01", True), ("0.2", False)):
        assert main([*common, "--density", density, "--runs", str(runs)]) == 0
        (line,) = capsys.readouterr().out.splitlines()[2:]
        assert ("; collapse averted in layers " in line) == named
