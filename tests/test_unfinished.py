"""resparse explain of a run without a record: where it stands, and why."""

import json

import pytest
from conftest import make_run
from test_explain import explained, said

from resparse import artifact, heartbeat, worker
from resparse.__main__ import main
from resparse.checkpoint import save_checkpoint
from resparse.how import How
from resparse.record import RunStore

FACTS = {"git_sha": "", "git_dirty": False}


def printed(capsys, *arguments, code=0):
    """What explain prints, on stdout whatever its exit code."""
    assert main(["explain", *map(str, arguments)]) == code
    out, err = capsys.readouterr()
    assert err == ""
    return out


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """(store, run) of a run that broke at step 12, after checkpoints at 5 and 10."""
    monkeypatch.setattr(heartbeat, "EVERY_S", 0.0)
    run, store = make_run("set"), RunStore(tmp_path)
    train = worker.train
    steps = {"checkpoint_steps": 5}
    monkeypatch.setattr(worker, "train", lambda *given, **by: train(*given, **by, **steps))

    def breaks(step):
        if step == 12:
            raise ZeroDivisionError("twelve")

    why = worker.main(run.config, str(tmp_path), None, How(), FACTS, worker.code_of(run), breaks)
    assert why == "ZeroDivisionError: twelve"
    return store, run


def test_a_run_that_failed_says_why_and_what_it_can_continue_from(broken, capsys):
    store, run = broken
    path = store.folder(run).path
    newest = path / "checkpoint-000000010" / "tensors.safetensors"
    data = bytearray(newest.read_bytes())
    data[-1] ^= 1
    newest.write_bytes(bytes(data))
    with (path / "events.jsonl").open("a") as file:
        file.write('{"event":"che')
    text = printed(capsys, run.key, "--runs", store.root, code=2)
    assert text.splitlines()[:2] == [
        f"run {run.key}, failed: ZeroDivisionError: twelve",
        f"  in {path}",
    ]
    checkpoints = [line.split("  ")[-1].strip() for line in text.splitlines() if "bytes" in line]
    size = sum(f.stat().st_size for f in newest.parent.iterdir())
    assert checkpoints[0] == (
        f"checkpoint-000000010, {size:,} bytes, damaged, not used: "
        "tensors.safetensors does not match its hash"
    )
    assert checkpoints[1].startswith("checkpoint-000000005, ")
    assert checkpoints[1].endswith(" bytes, sound")
    found = said(text)
    assert found["recipe"].startswith("30 steps of 64 images")
    assert found["started"].startswith("1 x, last by process ")
    assert "device cpu" in found["computed by"]
    assert "threads 1" in found["computed by"]
    assert found["fingerprint"].endswith("; today's code is the same")
    last = text[text.index("what happened last") :].splitlines()
    assert [line.split("  ")[2] for line in last[2:4]] == [
        "checkpoint: step 5",
        "checkpoint: step 10",
    ]
    assert last[4] == "  1 torn line: cut off when a process was killed"
    assert last[5] == f"why it failed, as {path / 'failure.json'} says"
    assert 'raise ZeroDivisionError("twelve")' in text
    assert text.splitlines()[-1] == "  ZeroDivisionError: twelve"


def test_one_that_is_being_trained_says_how_fast(broken, capsys):
    store, run = broken
    folder = store.folder(run)
    with folder.lock():
        text = printed(capsys, run.key, "--runs", store.root)
        known = json.loads(printed(capsys, run.key, "--json", "--runs", store.root))
    assert text.startswith(f"run {run.key}, running: step 11 of 30 (36 %), ")
    assert " steps/s, 0:0" in text.splitlines()[0]
    assert "why it failed" not in text
    assert (known["status"], known["progress"]["step"]) == ("running", 11)
    assert known["config"] == run.config
    assert [c["damaged"] for c in known["checkpoints"]] == ["", ""]
    assert [e["event"] for e in known["events"]] == ["started", "checkpoint", "checkpoint"]


def test_one_that_nobody_trains_says_where_it_continues(broken, capsys):
    store, run = broken
    folder = store.folder(run)
    (folder.path / "failure.json").unlink()
    save_checkpoint(folder.path, 11, {}, {}, run=run.key)
    text = printed(capsys, run.key, "--runs", store.root)
    assert text.splitlines()[0] == (
        f"run {run.key}, stopped: at step 11 or later, no process is at it; the command that "
        "trains it continues from step 11"
    )


def test_one_that_is_frozen_too_is_shown_as_it_is_here(tmp_path, capsys):
    """A smoke run's key is also that of a frozen line: what broke is asked for, not that."""
    line = artifact.ROOT / "baselines" / "frozen" / "itop" / "table2-smoke.jsonl"
    key = json.loads(line.read_text().splitlines()[0])["key"]
    (tmp_path / key).mkdir()
    (tmp_path / key / "failure.json").write_text('{"reason": "no data", "trace": "at line 3"}')
    text = printed(capsys, key, "--runs", tmp_path, code=2)
    assert text.splitlines()[:3] == [
        f"run {key}, failed: no data",
        f"  in {tmp_path / key}",
        f"  frozen in {line}",
    ]
    assert text.splitlines()[-1] == "  at line 3"


def test_a_finished_one_says_how_often_it_was_begun(broken, capsys):
    store, run = broken
    folder = store.folder(run)
    arguments = {"data_root": None, "how": How(), "provenance": FACTS}
    worker.train_and_commit(run, store, code=worker.code_of(run), **arguments)
    found = said(explained(capsys, run.key, "--runs", store.root))
    events = folder.path / "events.jsonl"
    assert found["events"] == f"started 2 x, resumed at step 10 ({events})"
    assert "computed" not in found
