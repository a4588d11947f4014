"""Many runs: parents first, failures kept apart, nothing trained twice, stale runs set aside."""

import dataclasses
import json
import multiprocessing

import pytest
from conftest import make_run

from resparse import runner
from resparse.errors import Requeue, RunFailed
from resparse.how import How
from resparse.record import RunStore
from resparse.worker import code_of, train_and_commit


def quiet(run, what):
    """No progress."""


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "runs")


def run_all(runs, store):
    return runner.run_all(
        runs, store, data_root=None, how=How(), workers=2, notify=quiet
    )  # fmt: skip


def test_parent_first_failure_apart_and_nothing_twice(store, monkeypatch):
    child = make_run("ltr")
    assert child.parent is not None
    lost = dataclasses.replace(make_run("static"), dataset="imagenet", model="resnet50")
    runs = [child, lost]
    todo = runner.pending(runs, store, rerun_stale=True)
    assert todo == [child.parent, child, lost]
    failed = run_all(todo, store)
    assert list(failed) == [lost.key]
    assert "RESPARSE_DATA" in failed[lost.key]
    record = store.record(child)
    assert record is not None
    assert record.status in ("completed", "collapsed")
    assert record.outcome["train_flops"]["parent"] > 0
    assert record.provenance["cpu_capability"] == "DEFAULT"
    events = (store.folder(child).path / "events.jsonl").read_text().splitlines()
    assert json.loads(events[-1])["event"] == "finished"

    assert runner.pending([child], store, rerun_stale=True) == []
    monkeypatch.setattr(runner, "code_of", lambda method: "other code")
    assert runner.pending([child], store, rerun_stale=False) == []
    assert runner.pending([child], store, rerun_stale=True) == [child.parent, child]
    assert len(list((store.root / "stale").iterdir())) == 2  # nothing computed is lost


def with_a_child(end, *arguments):
    """In place of a training: a process of its own, as a DataLoader has."""
    child = multiprocessing.get_context("fork").Process(target=print)
    child.start()
    child.join()
    end.send(f"the child ended with {child.exitcode}")


def test_a_training_may_have_processes_of_its_own(store, monkeypatch):
    monkeypatch.setattr(runner, "_main", with_a_child)
    run = make_run("static")
    assert run_all([run], store) == {run.key: "the child ended with 0"}


def test_code_edited_meanwhile_is_refused_and_its_checkpoints_set_aside(store, tmp_path):
    run = make_run("set")
    folder = store.folder(run).path
    facts = {"data_root": None, "how": How(), "provenance": {}}
    with pytest.raises(Requeue):
        train_and_commit(run, store, code=code_of(run), stop_after=7, **facts)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest == {"config": run.config, "code": code_of(run)}
    with pytest.raises(RunFailed, match="edited while the command ran"):
        train_and_commit(run, store, code="what the command began with", **facts)
    (folder / "manifest.json").write_text(json.dumps(manifest | {"code": "older"}))
    record = train_and_commit(run, store, code=code_of(run), **facts)
    events = (folder / "events.jsonl").read_text()
    assert '"event":"resumed"' not in events
    assert [p.name[:20] for p in (folder / "stale-older").iterdir()] == ["checkpoint-000000007"]
    assert record.fingerprint == code_of(run)


def test_a_child_of_a_failed_parent_fails_by_name(store):
    child = make_run("ltr")
    assert child.parent is not None
    broken = dataclasses.replace(child.parent, dataset="imagenet", model="resnet50")
    orphan = dataclasses.replace(child, parent=broken)
    failed = run_all([broken, orphan], store)
    assert set(failed) == {broken.key, orphan.key}
    assert broken.key in failed[orphan.key]
