"""resparse gc: what it names, what it deletes when told to, and all that it never touches."""

import json
import os
import subprocess
import sys
import time

import pytest
from conftest import make_run
from test_resolve import written

from resparse import garbage, provenance
from resparse.__main__ import main
from resparse.record import Record, RunStore
from resparse.worker import code_of

HEAD, OTHER = "a" * 40, "b" * 40
DAY_S = 86_400


@pytest.fixture(autouse=True)
def head(monkeypatch):
    monkeypatch.setattr(provenance, "git", lambda *arguments: HEAD)


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "runs")


def old(path, days=40):
    """``path`` and all below it, last written so many days ago."""
    when = time.time() - days * DAY_S
    for each in (path, *path.rglob("*")):
        os.utime(each, (when, when))
    return path


def gone():
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def committed(store, seed=0):
    """A finished run of three files, committed as a training does."""
    run = make_run("static", seed=seed)
    folder = store.folder(run)
    written(folder.path / "final.safetensors", "weights")
    written(folder.path / "lock", "1")
    folder.begin(run.config, "code")
    folder.event(event="finished")
    record = Record(
        key=run.key, config=run.config, fingerprint="code", status="completed", reason="",
        outcome={}, curves={}, provenance={},
    )  # fmt: skip
    folder.commit(record, ["final.safetensors"])
    return folder


@pytest.fixture
def full(store):
    """A store with one of every kind of 10 bytes each, but the unfinished run of 30."""
    run = committed(store).path
    dead = gone()
    garbage_of = {
        "stale": store.root / "stale" / f"{'0' * 16}-code-1",
        "stale checkpoints": run / "stale-code",
        "leftovers": run / "checkpoint-000000007",
        "freeze": store.root / f"freeze-{OTHER}-compare-panel-mini-cpu",
        "regression": store.root / f"regression-{'3' * 12}",
        "temporary": store.root / "methods" / f".mine-0.py.{dead}.tmp",
        "unfinished": store.root / ("1" * 16),
    }
    written(garbage_of["stale"] / "record.json", "x" * 10)
    written(garbage_of["stale checkpoints"] / "checkpoint-1" / "state.json", "x" * 10)
    written(garbage_of["leftovers"] / "state.json", "x" * 10)
    written(garbage_of["freeze"] / ("2" * 16) / "record.json", "x" * 10)
    old(written(garbage_of["regression"] / ("2" * 16) / "record.json", "x" * 10).parents[1])
    old(written(garbage_of["temporary"], "x" * 10))
    written(garbage_of["unfinished"] / "checkpoint-1" / "state.json", "x" * 20)
    written(garbage_of["unfinished"] / "manifest.json", "x" * 10)
    old(garbage_of["unfinished"])
    return garbage_of


def collect(store, capsys, *more):
    """(exit code, what --json says)."""
    code = main(["gc", "--runs", str(store.root), "--json", *more])
    return code, json.loads(capsys.readouterr().out)


def everything(store):
    return sorted(str(path) for path in store.root.rglob("*"))


def test_it_says_and_deletes_nothing(store, full, capsys):
    before = everything(store)
    code, found = collect(store, capsys)
    assert code == 0
    assert {(g["kind"], g["path"], g["size_bytes"]) for g in found["found"]} == {
        (kind, str(path), 30 if kind == "unfinished" else 10) for kind, path in full.items()
    }
    ages = {g["kind"]: g["age_days"] for g in found["found"]}
    assert ages["stale"] == ages["freeze"] == 0
    assert ages["regression"] == ages["temporary"] == ages["unfinished"] == 40
    assert found["free_bytes"] == 60  # the unfinished run is named apart
    assert found["deleted"] == []
    assert everything(store) == before

    assert main(["gc", "--runs", str(store.root)]) == 0
    said = capsys.readouterr().out
    assert "unfinished: 30 bytes, kept (unfinished runs, which a repeated" in said
    assert f"{10:>15}    40 days  {full['regression']}" in said.splitlines()
    assert said.splitlines()[-1] == "60 bytes in 6 places can be freed (--delete)"
    assert everything(store) == before


def test_delete_prints_each_path_and_leaves_what_is_committed(store, full, capsys):
    kept = [store.folder(make_run("static")), committed(store, seed=1)]
    before = [{p.name: p.read_bytes() for p in f.path.glob("*.*")} for f in kept]
    assert main(["gc", "--runs", str(store.root), "--delete"]) == 0
    said = capsys.readouterr().out
    for kind, path in full.items():
        assert path.exists() == (kind == "unfinished")
        assert (f"deleted {path}" in said) == (kind != "unfinished")
    for folder, files in zip(kept, before, strict=True):
        assert {p.name: p.read_bytes() for p in folder.path.glob("*.*")} == files
        folder.record()
    assert collect(store, capsys)[1]["free_bytes"] == 0

    code, found = collect(store, capsys, "--delete", "--unfinished")
    assert (code, found["deleted"]) == (0, [str(full["unfinished"])])
    assert not full["unfinished"].exists()
    assert all(folder.committed for folder in kept)


def test_what_a_live_process_holds_is_not_named(store, full, capsys):
    run = store.folder(make_run("static"))
    unfinished = garbage.RunFolder(full["unfinished"])
    frozen = garbage.RunFolder(full["freeze"] / ("2" * 16))
    retrained = garbage.RunFolder(full["regression"])
    with run.lock(), frozen.lock(), unfinished.lock(), retrained.lock():
        old(retrained.path)
        old(unfinished.path)
        found = collect(store, capsys)[1]["found"]
    assert {g["kind"] for g in found} == {"stale", "temporary"}


def test_what_may_go_on_or_is_unknown_is_not_named(store, capsys):
    folder = committed(store)
    written(folder.path / "notes.txt", "mine")
    written(store.root / "notes" / "x", "mine")
    written(store.root / f"freeze-{HEAD}" / ("2" * 16) / "record.json", "{}")
    written(store.root / f"freeze-{HEAD}-itop-table2-smoke-cpu" / "x", "{}")
    written(store.root / "freeze-dried" / "x", "mine")
    old(written(store.root / "regression-notes" / "x", "mine").parent)
    old(written(store.root / "methods" / "mine-0.py", "x"))
    old(written(store.root / "methods" / f".mine-0.py.{os.getpid()}.tmp", "x"))  # at it
    written(store.root / "methods" / f".mine-0.py.{gone()}.tmp", "x")  # of another machine?
    written(store.root / ("1" * 16) / "manifest.json", "{}")
    old(store.root / ("1" * 16), days=29)
    damaged = committed(store, seed=1)
    written(damaged.path / "checkpoint-1", "x")
    (damaged.path / "COMMITTED").write_text("no")
    assert collect(store, capsys)[1]["found"] == []
    (one,) = collect(store, capsys, "--days", "28")[1]["found"]
    assert (one["kind"], one["path"]) == ("unfinished", str(store.root / ("1" * 16)))


def test_unfinished_runs_that_are_kept_are_counted_and_why(store, capsys):
    """Two kills and a training at work: nothing can be freed, and it is said what lies there."""
    young = [store.root / (digit * 16) for digit in "123"]
    for path in young:
        written(path / "manifest.json", "x" * 1000)
    with garbage.RunFolder(young[2]).lock():
        held = (young[2] / "lock").stat().st_size
        assert main(["gc", "--runs", str(store.root)]) == 0
        assert capsys.readouterr().out.splitlines() == [
            "unfinished runs kept: 2, 2,000 bytes (younger than 30 days (--days N), a repeated "
            "command continues them)",
            f"unfinished runs in training: 1, {1000 + held:,} bytes (a live process holds them)",
            "0 bytes in 0 places can be freed (--delete)",
        ]
        found = collect(store, capsys)[1]
        assert (found["found"], found["free_bytes"]) == ([], 0)
        assert (found["young"], found["held"]) == ([str(p) for p in young[:2]], [str(young[2])])

        assert main(["gc", "--runs", str(store.root), "--days", "0"]) == 0
        said = capsys.readouterr().out
        assert "unfinished: 2,000 bytes, kept (" in said
        assert "unfinished runs kept" not in said
        deleted = collect(store, capsys, "--days", "0", "--delete", "--unfinished")[1]["deleted"]
        assert deleted == [str(p) for p in young[:2]]
        assert [path.exists() for path in young] == [False, False, True]


def test_days_0_leaves_what_a_live_process_writes(store, capsys):
    run = make_run("static")
    folder = garbage.RunFolder(store.root / f"regression-{'3' * 12}")
    inside = RunStore(folder.path).folder(run)
    with inside.lock():
        inside.begin(run.config, code_of(run))
    ours = written(store.root / "methods" / f".mine-0.py.{os.getpid()}.tmp", "x")
    with inside.lock():
        assert collect(store, capsys, "--days", "0")[1]["found"] == []
    found = collect(store, capsys, "--days", "0", "--delete")[1]
    assert found["deleted"] == [str(folder.path)]
    assert ours.is_file()


def test_a_run_taken_up_meanwhile_is_left(store, full):
    (item,) = (g for g in garbage.find(store, commit=HEAD, days=30) if g.kind == "unfinished")
    with garbage.RunFolder(item.path).lock(), pytest.raises(garbage.RunFailed, match="trained by"):
        garbage.free(item, store)
    (item,) = (g for g in garbage.find(store, commit=HEAD, days=30) if g.kind == "freeze")
    inside = garbage.RunFolder(item.path / ("2" * 16))
    with inside.lock(), pytest.raises(garbage.RunFailed, match="in use by now"):
        garbage.free(item, store)
    assert inside.path.is_dir()


def test_a_regression_of_todays_code_may_go_on_and_one_of_other_code_may_not(store, capsys):
    run, paths = make_run("static"), []
    for name, code in (("3", code_of(run)), ("4", "another"), ("5", "another")):
        folder = garbage.RunFolder(store.root / f"regression-{name * 12}")
        inside = RunStore(folder.path).folder(run)
        with inside.lock():
            inside.begin(run.config, code)
        paths.append(folder.path)
    with garbage.RunFolder(paths[2] / run.key).lock():  # a worker that outlived its command
        (one,) = collect(store, capsys)[1]["found"]
    assert (one["kind"], one["path"]) == ("regression", str(paths[1]))

    old(paths[0], days=29)
    assert len(collect(store, capsys)[1]["found"]) == 2
    found = {g["path"]: g for g in collect(store, capsys, "--days", "28")[1]["found"]}
    assert set(found) == set(map(str, paths))
    assert found[str(paths[0])]["age_days"] == 29

    (item, *_) = garbage.find(store, commit=HEAD, days=30)
    with garbage.RunFolder(item.path).lock(), pytest.raises(garbage.RunFailed, match="in use"):
        garbage.free(item, store)
    collect(store, capsys, "--delete")
    assert [path.exists() for path in paths] == [True, False, False]


def test_a_link_is_not_followed(store, tmp_path, capsys):
    written(tmp_path / "precious" / "x", "x" * 99)
    (store.root / "stale").mkdir(parents=True)
    (store.root / "stale" / "link").symlink_to(tmp_path / "precious")
    code, found = collect(store, capsys, "--delete")
    assert (code, len(found["deleted"])) == (0, 1)
    assert found["free_bytes"] < 99
    assert (tmp_path / "precious" / "x").is_file()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--runs", "/nowhere"], "run store /nowhere: there is none"),
        (["--runs", ".", "--unfinished"], "valid: with --delete"),
        (["--runs", ".", "--days=-1"], "'-1'; valid: a whole number, 0 or more"),
        (["--runs", ".", "--days", "x"], "'x'; valid: a whole number, 0 or more"),
    ],
)
def test_bad_command_lines(given, words, capsys):
    assert main(["gc", *given]) == 5
    assert words in capsys.readouterr().err
