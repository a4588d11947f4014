"""Regression: the panel's runs and their frozen lines; what may be asked, and of which device."""

import dataclasses

import pytest

from resparse import reproduce
from resparse.asked import Options
from resparse.compare.panel import baseline_entries, load
from resparse.errors import Missing, RunFailed, UsageError
from resparse.frozen import lines as frozen
from resparse.frozen import retrain
from resparse.how import How
from resparse.workloads import workload


@pytest.fixture(scope="module")
def entries():
    return baseline_entries(load(), "smoke")


def lines_of(entries):
    """A frozen line of every run of the panel, as freeze writes them."""
    return [
        {"row": e.label, "workload": e.workload, "sparsity": e.sparsity, "key": e.run.key}
        for e in entries
    ]


def test_frozen_records_of_another_panel_are_named(entries, monkeypatch):
    labels = sorted({entry.label for entry in entries})
    monkeypatch.setattr(retrain, "frozen_lines", lambda name, level: lines_of(entries))
    assert retrain.frozen_panel(entries, labels).keys() == {e.run.key for e in entries}
    with pytest.raises(
        Missing, match=r"1 runs are no longer in it, 0 not yet frozen; first frozen"
    ) as gone:
        retrain.frozen_panel([e for e in entries if e.run.key != entries[-1].run.key], labels)
    assert "nox -s freeze -- compare/panel" in str(gone.value)
    monkeypatch.setattr(retrain, "frozen_lines", lambda name, level: lines_of(entries[:-1]))
    with pytest.raises(Missing, match=r"0 runs are no longer in it, 1 not yet frozen; first today"):
        retrain.frozen_panel(entries, labels)
    with pytest.raises(Missing, match="has no records of Mine"):
        retrain.frozen_panel(entries, ["Mine"])


def test_each_row_of_the_panel_is_one_and_dense_counts_once_a_workload(entries):
    groups = retrain.by_row(entries)
    assert all(len(group) == 10 for group in groups)
    assert all(entry.length == 1 for group in groups for entry in group)
    named = [(group[0].label, group[0].workload) for group in groups]
    assert named.count(("Dense", "digits_mlp")) == 1
    assert named.count(("SET", "digits_mlp")) == 2
    assert len({entry.run.key for group in groups for entry in group}) == 10 * len(groups)


def test_too_many_seeds_and_unknown_labels_are_refused():
    with pytest.raises(UsageError, match=r"--seeds 9; valid: 1 to 8, of the panel's 10"):
        retrain.check_seeds(9, 10)
    retrain.check_seeds(8, 10)
    with pytest.raises(UsageError, match=r"--only 'Sett'; valid: Dense, SET"):
        retrain.chosen(["Sett"], ["Dense", "SET"])
    assert retrain.chosen([], ["Dense", "SET"]) == ["Dense", "SET"]


def test_a_frozen_line_that_is_no_record_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(frozen, "ROOT", tmp_path)
    file = frozen.frozen_file("compare/panel", "mini")
    file.parent.mkdir(parents=True)
    for line in ("3", '{"key": "a"}', "[]"):
        file.write_text(f'{{"key": "b", "status": "completed", "outcome": {{}}}}\n{line}\n')
        with pytest.raises(
            RunFailed, match=r"panel-mini.jsonl:2 is damaged \(no record\): restore"
        ):
            frozen.frozen_lines("compare/panel", "mini")


def test_workloads_of_two_devices_are_refused_and_the_ready_one_is_returned(entries):
    """One that asks for a GPU beside one that does not: neither decides for the other."""
    cpu = workload("digits_mlp")
    gpu = dataclasses.replace(cpu, needs_gpu=True)
    options, runs = Options(name="the panel"), [entries[0].run]
    assert reproduce.require_all_ready([cpu, cpu], runs, options).device == "cpu"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reproduce, "require_ready", lambda p, o, b: How(device=device_of(p)))
        with pytest.raises(
            UsageError, match=r"the panel at level smoke trains on cpu and cuda; va"
        ):
            reproduce.require_all_ready([cpu, gpu], runs, options)


def device_of(problem):
    return "cuda" if problem.needs_gpu else "cpu"
