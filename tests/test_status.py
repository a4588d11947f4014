"""resparse status: where runs stand, read from their files while others write them."""

import dataclasses
import fcntl
import json
import subprocess
import sys
import threading
import time

import pytest
from conftest import make_run
from test_record import record_of

from resparse import artifact, heartbeat, worker
from resparse.__main__ import main
from resparse.heartbeat import Heartbeat, Pace
from resparse.history import in_words, read_events
from resparse.how import How
from resparse.record import RunFolder, RunStore
from resparse.status import grid
from resparse.status.standing import Standing, standing

FACTS = {"data_root": None, "how": How(), "provenance": {"git_sha": "", "git_dirty": False}}


def status(capsys, *arguments):
    """What the command prints."""
    assert main(["status", *map(str, arguments)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def begun(store, run, code="c" * 16):
    """The folder of a run that was begun."""
    folder = store.folder(run)
    folder.path.mkdir(parents=True)
    folder.begin(run.config, code)
    return folder


def test_torn_lines_are_passed_over_and_counted(tmp_path):
    folder = RunFolder(tmp_path)
    assert read_events(tmp_path) == ([], 0)
    folder.event(event="started", pid=7)
    with (tmp_path / "events.jsonl").open("ab") as file:
        file.write(b'{"event":"checkpoint","step":1\n3\n\xff\n{"step":4}\n')
    folder.event(event="resumed", step=12)
    with (tmp_path / "events.jsonl").open("ab") as file:
        file.write(b'{"event":"chec')
    events, torn = read_events(tmp_path)
    assert [event["event"] for event in events] == ["started", "resumed"]
    assert torn == 5
    assert in_words({"time": 0, "event": "x", "b": 1})[1] == "x: b 1"
    assert in_words({"time": "soon", "event": "x"}) == ("?", "x")


def test_every_state_of_a_run(tmp_path):
    run, store = make_run("set"), RunStore(tmp_path)
    folder = store.folder(run)
    assert standing(folder) == Standing("waiting")
    begun(store, run)
    assert standing(folder) == Standing("stopped", run, code="c" * 16)
    for step in (5, 20):
        (folder.path / f"checkpoint-{step:09d}").mkdir()
    Heartbeat(folder.path, 30)(23)
    found = standing(folder)
    assert (found.state, found.checkpoint, found.pace.step) == ("stopped", 20, 23)
    assert grid.said(found).startswith("at step 23 or later, no process is at it; the command")
    assert grid.said(found).endswith("continues from step 20")
    with folder.lock():
        assert standing(folder)[:2] == ("running", run)
    (folder.path / "failure.json").write_text('{"reason": "out of luck", "trace": "..."}')
    assert standing(folder)[:3] == ("failed", run, "out of luck")
    (folder.path / "failure.json").write_text('{"rea')
    assert standing(folder).reason == "failure.json cannot be read"
    with folder.lock():  # a new attempt: the old failure is not its own
        assert standing(folder).state == "running"
        folder.commit(record_of(run), [])
        assert standing(folder)[:2] == ("done", run)
    (folder.path / "record.json").write_text("{")
    assert standing(folder)[:2] == ("damaged", run)
    for status in ("diverged", "collapsed"):
        folder.commit(record_of(run, status=status, reason="layer fc"), [])
        assert standing(folder)[:3] == (status, run, "layer fc")


def test_a_folder_that_nobody_can_read_is_no_error(tmp_path, capsys):
    for key, text in (("0" * 16, "{"), ("1" * 16, "[]"), ("2" * 16, '{"config": {"seed": 0}}')):
        (tmp_path / key).mkdir()
        (tmp_path / key / "manifest.json").write_text(text)
    out = status(capsys, "--runs", tmp_path)
    assert out.splitlines()[0] == f"{tmp_path}: 3 runs: 3 stopped"
    assert out.count("not known: no manifest that this version reads") == 3


def test_looking_never_makes_a_process_give_up_a_run(tmp_path):
    """A look holds a shared lock for microseconds; here for thirty milliseconds."""
    folder = RunFolder(tmp_path / "run")
    with folder.lock():
        pass
    looks = (folder.path / "lock").open()
    fcntl.flock(looks, fcntl.LOCK_SH | fcntl.LOCK_NB)
    timer = threading.Timer(0.03, looks.close)
    timer.start()
    with folder.lock():
        assert looks.closed
    timer.join()


def test_looking_needs_no_torch(tmp_path):
    begun(RunStore(tmp_path), make_run("set"))
    asked = f"assert main(['status', '--runs', {str(tmp_path)!r}]) == 0"
    code = f"import sys; from resparse.__main__ import main; {asked}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
    assert "1 stopped" in done.stdout


def test_a_training_says_how_far_it_is_and_what_is_left_when_it_dies(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(heartbeat, "EVERY_S", 0.0)
    run, store, seen = make_run("set"), RunStore(tmp_path), []

    class Killed(BaseException):
        pass

    def look(step):
        if step == 21 and len(seen) < 2:
            seen.append(json.loads(status(capsys, "--runs", tmp_path, "--json"))["runs"][0])
            raise Killed

    arguments = (run, store)
    facts = FACTS | {"code": worker.code_of(run), "tell": look, "checkpoint_steps": 5}
    for _ in range(2):
        with pytest.raises(Killed):
            worker.train_and_commit(*arguments, **facts)
    first, second = seen
    assert (first["key"], first["state"], first["seed"]) == (run.key, "running", 0)
    assert (first["progress"]["step"], first["progress"]["steps"]) == (20, 30)
    assert first["progress"]["steps_per_s"] > 0
    assert 0 < first["progress"]["left_s"] < 60
    assert second["progress"]["step"] == 20  # its own: it began there
    assert second["progress"]["steps_per_s"] is None
    words = status(capsys, "--runs", tmp_path)
    assert words.splitlines()[0] == f"{tmp_path}: 1 run: 1 stopped"
    assert f"stopped   {run.key}  set, resnet8 on digits, sparsity 0.8, 30 steps, seed 0: " in words
    assert "at step 20 or later, no process is at it; the" in words
    worker.train_and_commit(*arguments, **facts)
    assert not (store.folder(run).path / heartbeat.FILE).exists()
    assert status(capsys, "--runs", tmp_path) == f"{tmp_path}: 1 run: 1 done\n"


def test_the_words_of_a_pace():
    assert grid.in_words(Pace(0, 700, None, 0.0)) == "step 0 of 700 (0 %)"
    said = "step 1,400 of 2,100 (66 %), 35 steps/s, 0:10 left"
    assert grid.in_words(Pace(1400, 2100, 35.0, 10.0)) == said
    said = "step 3 of 90 (3 %), 0.0123 steps/s, 0:00 left, silent for 2 d 7:33:20"
    assert grid.in_words(Pace(3, 90, 0.01234, 200_000.0)) == said


def row(out, label, after):
    """The cells of a grid's row below a heading."""
    lines = out[out.index(after) :].splitlines()
    return next(line.split()[1:] for line in lines if line.strip().startswith(f"{label} "))


def test_the_grid_of_a_table(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(heartbeat, "EVERY_S", 0.0)
    store, table = RunStore(tmp_path), artifact.load("itop/table2")
    planned = artifact.plan(table, "smoke", "d" * 64, seeds=(0, 1, 2))  # its dataset's hash
    runs = {(p.label, p.sparsity, p.run.seed): p.run for p in planned}
    for seed in (0, 1):
        run = runs["RigL", 0.9, seed]
        code = worker.code_of(run) if seed == 0 else "0" * 16
        begun(store, run, code).commit(record_of(run, fingerprint=code), [])
    run = runs["RigL", 0.9, 2]
    changes = {"fingerprint": worker.code_of(run), "status": "collapsed", "reason": "layer fc"}
    begun(store, run).commit(record_of(run, **changes), [])
    failed = begun(store, runs["SET", 0.8, 0])
    (failed.path / "failure.json").write_text('{"reason": "out of luck\\nand so on", "trace": ""}')
    begun(store, runs["SET", 0.8, 1])
    going = begun(store, runs["Dense", 0.9, 1])
    begun(store, dataclasses.replace(run, seed=77))  # no run of the table
    with going.lock():
        beat = Heartbeat(going.path, 1190)
        beat(100)
        time.sleep(0.01)
        beat(400)
        out = status(capsys, "itop/table2", "--runs", tmp_path)
        asked = ("itop/table2", "--seeds", "1", "--json", "--runs", tmp_path)
        listed = json.loads(status(capsys, *asked))
    head = out.splitlines()[0]
    assert head.startswith(f"itop/table2 at level smoke, {tmp_path}: 51 runs: ")
    assert head.endswith("1 done, 1 collapsed, 1 stale, 1 running, 1 failed, 1 stopped, 45 waiting")
    assert row(out, "RigL", "sparsity 0.9") == ["done", "stale", "collapsed"]
    assert row(out, "RigL", "sparsity 0.8") == ["waiting"] * 3
    assert row(out, "SET", "sparsity 0.8") == ["FAILED", "stopped", "waiting"]
    for sparsity in (0.9, 0.8):  # one run, in both
        cells = row(out, "Dense", f"sparsity {sparsity}")
        assert cells == ["waiting", "33", "%", "waiting"]
    assert [line.split()[0] for line in out.splitlines()[-4:]] == [
        "running", "failed", "stopped", "collapsed",
    ]  # fmt: skip
    named = f"{going.path.name}  Dense, sparsity 0.9, seed 1: step 400 of 1,190 (33 %), "
    assert f"running   {named}" in out
    assert f"{failed.path.name}  SET, sparsity 0.8, seed 0: out of luck\n" in out
    assert listed["counts"]["running"] == 1
    assert sum(listed["counts"].values()) == 17
    dense = next(x for x in listed["runs"] if x["row"] == "Dense")
    assert (dense["seed"], dense["state"], dense["progress"]["step"]) == (1, "running", 400)


def test_many_seeds_go_below_each_other():
    seen = [
        grid.Seen(f"{seed}", "", Standing("waiting"), "Static", 0.9, seed) for seed in range(12)
    ]
    lines = grid.grid(seen)
    assert max(map(len, lines)) <= 100
    assert "".join(lines).count("waiting") == 12
    assert [line.count("seed") for line in lines if line.startswith("sparsity")] == [9, 3]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--level", "smoke"], ["--level without a table", "status TABLE --level"]),
        (["--seeds", "0"], ["--seeds without a table"]),
        (["itop/table9"], ["itop/table9", "itop/table2"]),
        (["itop/table2", "--level", "huge"], ["huge", "smoke, paper"]),
        (["--runs", "/nowhere/at/all"], ["/nowhere/at/all: there is none", "a folder with runs"]),
    ],
)
def test_a_bad_command_line_is_one_sentence(arguments, words, capsys):
    assert main(["status", *arguments]) == 5
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert all(word in error for word in words)
