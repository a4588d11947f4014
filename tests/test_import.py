"""resparse import: what verifies is added whole, what does not is named, nothing is executed."""

import dataclasses
import json
import shutil

import pytest
from conftest import make_run
from test_resolve import METHOD, forget, written

from resparse import registry
from resparse.__main__ import main
from resparse.files import canonical, file_sha256
from resparse.how import How
from resparse.outside import copied
from resparse.record import RunFolder, RunStore
from resparse.worker import code_of, train_and_commit

__all__ = ["forget"]  # a fixture for this file as well
FACTS = {"data_root": None, "how": How(), "provenance": {"git_sha": "0" * 40}}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store with static, lth and its dense parent, and a method from outside; runs by method."""
    root = tmp_path_factory.mktemp("made")
    store = RunStore(root / "elsewhere" / "runs")
    file = written(root / "mine.py", METHOD)
    copy, digest = copied(file, store.root, "methods")
    registry.add("mine", copy)
    own = dataclasses.replace(make_run("static", 2), method="mine", method_sha256=digest)
    own = dataclasses.replace(own, fields={"order": "replace", "number": 3})
    child = make_run("lth", 2)
    runs = [make_run("static", 2), child.parent, child, own]
    for run in runs:
        train_and_commit(run, store, code=code_of(run), **FACTS)
    del registry._outside["mine"]
    return store, {run.method: run for run in runs}


@pytest.fixture
def there(made, tmp_path):
    """A copy of it, to be damaged, and the runs."""
    shutil.copytree(made[0].root, tmp_path / "stick" / "runs")
    return RunStore(tmp_path / "stick" / "runs"), made[1]


@pytest.fixture
def here(tmp_path):
    return RunStore(tmp_path / "here")


def imported(there, here, capsys, *more):
    """(exit code, what --json says, the lines on stderr)."""
    code = main(["import", str(there.root.parent), "--runs", str(here.root), "--json", *more])
    said = capsys.readouterr()
    return code, json.loads(said.out), said.err.splitlines()


def rewrite(folder, **changes):
    """A record with other values that is committed as if it had always been so."""
    value = json.loads((folder.path / "record.json").read_text()) | changes
    (folder.path / "record.json").write_text(json.dumps(value))
    marker = json.loads((folder.path / "COMMITTED").read_text())
    marker["record.json"] = file_sha256(folder.path / "record.json")
    (folder.path / "COMMITTED").write_text(canonical(marker))


def test_a_whole_store_comes_over_once(there, here, capsys):
    store, runs = there
    code, found, said = imported(store, here, capsys, "--dry-run")
    assert (code, said) == (0, [])
    assert sorted(found["added"]) == sorted(run.key for run in runs.values())
    assert not here.root.exists()

    code, found, said = imported(store, here, capsys)
    assert (code, said, found["stale"]) == (0, [], [])
    assert found["added"].index(runs["dense"].key) < found["added"].index(runs["lth"].key)
    for run in runs.values():
        old, new = store.folder(run).path, here.folder(run).path
        assert here.record(run) == store.record(run)
        for name in ("record.json", "final.safetensors", "COMMITTED", "manifest.json"):
            assert (new / name).read_bytes() == (old / name).read_bytes()
        *before, last = (new / "events.jsonl").read_text().splitlines()
        assert before == (old / "events.jsonl").read_text().splitlines()
        event = json.loads(last)
        assert (event["event"], event["source"]) == ("imported", str(old))
    (copy,) = (here.root / "methods").iterdir()
    assert copy.read_text() == METHOD
    assert "mine" not in registry._outside  # it was not executed
    assert [p.name for p in here.root.glob(".*")] == []

    code, found, _ = imported(store, here, capsys)
    assert (code, found["added"], len(found["already"])) == (0, [], 4)
    assert main(["import", str(store.root), "--runs", str(here.root)]) == 0
    said = capsys.readouterr().out
    assert "0 records added (0 made by this very code, 0 STALE" in said
    assert "), 4 are here already, 0 refused, 0 unfinished" in said


def test_an_imported_record_is_trained_no_more(there, here, capsys):
    imported(there[0], here, capsys)
    run = there[1]["static"]
    again = train_and_commit(run, here, code=code_of(run), **FACTS)
    assert again == there[0].record(run)


def test_other_code_is_said(there, here, capsys):
    rewrite(there[0].folder(there[1]["static"]), fingerprint="another")
    code, found, _ = imported(there[0], here, capsys)
    assert (code, found["stale"]) == (0, [there[1]["static"].key])
    shutil.rmtree(here.root)
    main(["import", str(there[0].root), "--runs", str(here.root)])
    counts = "4 records added (3 made by this very code, 1 STALE: by other code, 0 unknown: "
    assert counts in capsys.readouterr().out


def flip(folder, runs):
    path = folder.path / "final.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def config_of_another(folder, runs):
    rewrite(folder, config=runs["dense"].config)


def no_json(folder, runs):
    (folder.path / "record.json").write_text("no")
    marker = {"record.json": file_sha256(folder.path / "record.json")}
    (folder.path / "COMMITTED").write_text(canonical(marker))


def reach_out(folder, runs):
    (folder.path / "COMMITTED").write_text(canonical({"record.json": "", "../x": ""}))


def evil_name(folder, runs):
    run = dataclasses.replace(runs["static"], method="../../x", method_sha256="0" * 64)
    rewrite(folder, config=run.config, key=run.key)
    folder.path.rename(folder.path.with_name(run.key))


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (flip, "final.safetensors is not what was committed"),
        (no_json, "is no run: JSONDecodeError"),
        (config_of_another, "does not belong to its configuration"),
        (reach_out, "names '../x', no file of its own"),
        (evil_name, "'../../x' is no name of a file in methods/"),
        (lambda f, runs: rewrite(f, schema=2), "record schema 2"),
        (lambda f, runs: rewrite(f, status="fine"), "status 'fine'"),
        (lambda f, runs: rewrite(f, config=[]), "is no run|wrong fields"),
        (lambda f, runs: rewrite(f, more=1), "record has wrong fields"),
        (lambda f, runs: (f.path / "COMMITTED").write_text("[]"), "names no record"),
        (lambda f, runs: f.path.rename(f.path.with_name("f" * 16)), "the record of another run"),
    ],
)
def test_one_that_does_not_verify_is_named_and_the_rest_added(there, here, capsys, damage, why):
    store, runs = there
    damage(store.folder(runs["static"]), runs)
    code, found, (said,) = imported(store, here, capsys)
    assert code == 2
    assert len(found["added"]) == 3
    (key,) = found["refused"]
    assert key in said
    assert any(part in found["refused"][key] for part in why.split("|"))
    assert here.record(runs["static"]) is None
    assert not here.at(key).path.exists()


def test_another_outcome_and_its_children_are_refused(there, here, capsys):
    store, runs = there
    imported(store, here, capsys)
    shutil.rmtree(here.folder(runs["lth"]).path)
    outcome = store.record(runs["dense"]).outcome
    rewrite(store.folder(runs["dense"]), outcome=outcome | {"top1_last": 99.0})
    code, found, said = imported(store, here, capsys)
    assert (code, len(found["already"]), len(said)) == (2, 2, 2)
    assert "has another outcome" in found["refused"][runs["dense"].key]
    assert ": top1_last; " in found["refused"][runs["dense"].key]
    assert found["refused"][runs["lth"].key] == f"its parent {runs['dense'].key} is refused"
    assert here.record(runs["dense"]).outcome == outcome
    assert here.record(runs["lth"]) is None


def test_a_child_needs_its_parent_and_a_method_its_file(there, here, capsys):
    store, runs = there
    shutil.rmtree(store.folder(runs["dense"]).path)
    shutil.rmtree(store.root / "methods")
    code, found, _ = imported(store, here, capsys)
    assert (code, found["added"]) == (2, [runs["static"].key])
    assert "is in neither store" in found["refused"][runs["lth"].key]
    assert "is changed or missing" in found["refused"][runs["mine"].key]


def test_unfinished_runs_stay_and_give_way(there, here, capsys):
    store, runs = there
    (store.folder(runs["static"]).path / "COMMITTED").unlink()
    unfinished = here.folder(runs["dense"])
    unfinished.path.mkdir(parents=True)
    (unfinished.path / "manifest.json").write_text("{}")
    code, found, _ = imported(store, here, capsys)
    assert (code, found["unfinished"]) == (0, [runs["static"].key])
    assert here.record(runs["dense"]) is not None
    (aside,) = (here.root / "stale").iterdir()
    assert aside.name.startswith(f"{runs['dense'].key}-unfinished-")

    shutil.rmtree(here.folder(runs["mine"]).path)
    with RunFolder(here.folder(runs["mine"]).path).lock():  # a process is at it
        code, found, _ = imported(store, here, capsys)
    assert code == 2
    assert "is being trained by process" in found["refused"][runs["mine"].key]


def test_where_there_is_no_store_or_several(there, here, tmp_path, capsys):
    def refused(folder):
        assert main(["import", str(folder), "--runs", str(here.root)]) == 5
        return capsys.readouterr().err

    assert "is not a folder" in refused(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    assert "contains these run stores: none" in refused(tmp_path / "empty")
    shutil.copytree(there[0].root, tmp_path / "stick" / "more")
    assert "stick/more, " in refused(tmp_path)
    assert main(["import", str(there[0].root), "--runs", str(there[0].root)]) == 5
    assert "this run store itself" in capsys.readouterr().err
