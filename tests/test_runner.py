"""Many runs: parents first, failures kept apart, nothing trained twice, stale runs set aside."""

import dataclasses
import json

import pytest
from conftest import make_run

from resparse import runner
from resparse.record import RunStore


def quiet(run, what):
    """No progress."""


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "runs")


def run_all(runs, store):
    return runner.run_all(
        runs, store, data_root=None, device="cpu", workers=2, notify=quiet
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


def test_a_child_of_a_failed_parent_fails_by_name(store):
    child = make_run("ltr")
    assert child.parent is not None
    broken = dataclasses.replace(child.parent, dataset="imagenet", model="resnet50")
    orphan = dataclasses.replace(child, parent=broken)
    failed = run_all([broken, orphan], store)
    assert set(failed) == {broken.key, orphan.key}
    assert broken.key in failed[orphan.key]
